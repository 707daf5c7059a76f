"""BM25: which queries find something, and that the rest score as they always did."""

import numpy as np
import pytest

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.methods.bm25 import Bm25Retriever

bm25s = pytest.importorskip("bm25s")

TEXTS = [
    "To be or not to be, that is the question",
    "A guide to C++ and its templates",
    "C# in depth, for .NET",
    "Vitamin C, 5 g a day",
    "The R language, not C; written by R users",
    "the IT department",
    "Red roses and a rose",
]


def of(texts: list[str]) -> Bm25Retriever:
    return Bm25Retriever(Corpus.from_documents(Document(str(n), text) for n, text in enumerate(texts)))


def found(texts: list[str], query: str) -> list[int]:
    return [int(hit.doc_id) for hit in of(texts).search([query])[0]]


@pytest.mark.parametrize(
    "query", ["rose guide", "vitamin", "the question of language", "C++ templates", "Red department"]
)
def test_queries_with_words_score_as_by_bm25s_alone(query: str):
    import Stemmer

    def tokens(texts: list[str]) -> list[list[str]]:
        return bm25s.tokenize(
            texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), return_ids=False, show_progress=False
        )

    index = bm25s.BM25()
    index.index(tokens(TEXTS), show_progress=False)
    expected = index.get_scores(tokens([query])[0])
    retriever = of(TEXTS)
    retriever.search(["C++"])  # what was counted for it changes nothing
    scores = np.zeros(len(TEXTS), dtype=np.float32)
    for hit in retriever.search([query], len(TEXTS))[0]:
        scores[int(hit.doc_id)] = hit.score
    assert scores.tolist() == expected.tolist()
    assert scores.any()


@pytest.mark.parametrize(
    ("query", "documents"),
    [("to be or not to be", [0]), ("C++", [1]), ("c#", [2]), (".NET", [2]), ("R", [4]), ("5 g", [3]), ("IT", [5])],
)
def test_a_query_without_other_words_is_asked_by_those_it_has(query: str, documents: list[int]):
    assert found(TEXTS, query)[: len(documents)] == documents


def test_a_stop_word_beside_a_word_asks_for_nothing():
    assert found(TEXTS, "the rose") == [6]
    assert found(TEXTS, "the xylophone") == []


SCRIPTS = {
    "Chinese": (["红色的桥守护旧的钟楼", "高高的山靠近白色的船", "热水"], {"钟楼": 0, "水": 2, "白色的船": 1}),
    "Japanese": (["古い時計の下の赤い橋", "白い船の近くの山", "カタカナの本"], {"赤い橋": 0, "船": 1, "カタカナ": 2}),
    "Thai": (["สะพานสีแดงใกล้หอนาฬิกา", "ภูเขาสูงและเรือสีขาว", "น้ำร้อน"], {"หอนาฬิกา": 0, "น้ำ": 2, "เรือ": 1}),
    "Lao": (["ຂົວສີແດງ", "ພູສູງ", "ນ້ຳຮ້ອນ"], {"ສີແດງ": 0, "ພູ": 1, "ນ້ຳ": 2}),
    "Burmese": (["တံတားအနီ", "တောင်မြင့်", "ရေနွေး"], {"အနီ": 0, "တောင်": 1, "ရေ": 2}),
    "Khmer": (["ស្ពានក្រហម", "ភ្នំខ្ពស់", "ទឹកក្តៅ"], {"ក្រហម": 0, "ភ្នំ": 1, "ទឹក": 2}),
    "Hindi": (["लाल पुल", "ऊँचा पहाड़", "गरम पानी"], {"पुल": 0, "पहाड़": 1, "पानी": 2}),
    "mixed": (["iPhone手机壳", "iPhone charger", "手机充电器"], {"iphone手机": 0, "charger": 1, "充电": 2}),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_without_spaces_are_searched(script: str):
    texts, queries = SCRIPTS[script]
    retriever = of(texts)
    for query, document in queries.items():
        assert retriever.search([query])[0][0].doc_id == str(document), query
    assert retriever.without_words(list(queries)) == []


def test_queries_of_which_no_document_has_a_word_are_told():
    queries = ["xylophone", "a rose", "C++", "F#", "桥", "?!", "the xylophone"]
    assert of(TEXTS).without_words(queries) == ["xylophone", "F#", "桥", "?!", "the xylophone"]
    assert of(["?", "!"]).without_words(["rose", "?"]) == ["rose", "?"]
    assert of(["?", "!"]).search(["rose", "?"]) == [[], []]
