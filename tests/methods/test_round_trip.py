"""The round trip by hand: a query stays where its document is among the first that are found with it."""

import io
from collections.abc import Sequence

import pytest

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.retriever import Hit
from lmindexer.methods.round_trip import AT_ONCE, found_again
from lmindexer.progress import Progress
from lmindexer.questions.pseudo_queries import PseudoQuery

RANKED = {"rose": ["a", "b", "c"], "storm": ["c"], "nothing": []}


class Known(Bm25Retriever):
    """Answers as RANKED says, and counts how often it is asked."""

    def __init__(self) -> None:
        self.name, self.asked = "known", list[str]()

    def search(self, texts: Sequence[str], k: int = 10, **_: object) -> list[list[Hit]]:
        self.asked += texts
        return [[Hit(doc_id, 1.0) for doc_id in RANKED.get(text, [])[:k]] for text in texts]


@pytest.mark.parametrize(("depth", "kept"), [(1, "a rose, c storm"), (2, "a rose, b rose, c storm"),
                                             (3, "a rose, b rose, c rose, c storm")])  # fmt: skip
def test_by_hand(depth: int, kept: str):
    queries = [PseudoQuery(*pair, "title") for pair in (
        ("a", "rose"), ("b", "rose"), ("c", "rose"), ("c", "storm"), ("a", "storm"), ("a", "nothing"),
    )]  # fmt: skip
    retriever = Known()
    found = found_again(queries, retriever, depth)
    assert ", ".join(f"{query.doc_id} {query.text}" for query in found) == kept
    assert retriever.asked == ["rose", "storm", "nothing"], "each text once"


def test_many_are_asked_in_parts_and_told():
    queries = [PseudoQuery("c", "storm", "words"), *(PseudoQuery("a", f"{n}", "words") for n in range(AT_ONCE))]
    stream = io.StringIO()
    assert found_again(queries, Known(), 10, Progress(stream)) == queries[:1]
    assert stream.getvalue().rstrip().endswith(f"asking known  {AT_ONCE + 1}/{AT_ONCE + 1} queries")


def test_by_words():
    corpus = Corpus.from_documents([Document("a", "red rose"), Document("b", "red wine"), Document("c", "red sky")])
    queries = [PseudoQuery("a", "rose", "words"), PseudoQuery("b", "red rose", "words"), PseudoQuery("c", "x", "words")]
    assert found_again(queries, Bm25Retriever(corpus), 1) == queries[:1]
    assert found_again(queries, Bm25Retriever(corpus), 3) == queries[:2], "a query without a known word finds nothing"
