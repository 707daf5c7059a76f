"""Every way takes words of the document; what comes of a text is worked by hand; what is written can be read."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.questions.pseudo_queries import PseudoQuery, column_queries, pseudo_queries, write_pseudo_queries
from lmindexer.questions.queries import load_queries, text_key
from lmindexer.questions.query_ways import PASSAGE_WORDS, WAYS, Text, Weigher, spans, word_of, words

PROSE = (
    "The old lighthouse keeper (a quiet man) lit the oil lamp. Dr. Smith's notes, kept in Boston, describe the "
    "storm of 1851: three ships sank near the reef. Nobody was saved!"
)


def text_of(text: str, *others: str) -> Text:
    return Weigher([text, *others])(text)


def parts_are_in(query: str, text: str) -> bool:
    return all(part in text.lower() for part in query.split())


@pytest.mark.parametrize("way", WAYS)
def test_queries_are_words_of_the_document_and_distinct(way: str, corpus: Corpus):
    for text in [*corpus.texts(range(20)), PROSE, " ".join([PROSE] * 9), "鳥が空を飛ぶ。魚が海を泳ぐ。" * 9]:
        found = WAYS[way](text_of(text, *corpus.texts()), random.Random(0), 4)
        assert all(found)
        assert len(set(found)) == len(found) <= 4
        assert all(query in text if way != "words" else parts_are_in(query, text) for query in found)
    assert found, "a long text gives some"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", ["", "?!", "( - ) /", "the", "rose", "1851", "a (", "鳥", "the of and"])
def test_a_text_of_next_to_nothing_gives_nothing_empty(way: str, text: str):
    assert all(query.strip() for query in WAYS[way](text_of(text), random.Random(0), 3))


@pytest.mark.parametrize("way", WAYS)
@given(text=st.text(alphabet="aB1 .-(!)'鳥\u2019Thein\n", max_size=80))
def test_no_text_is_too_odd(way: str, text: str):
    text = " ".join(text.split())
    for query in WAYS[way](text_of(text, "B a"), random.Random(0), 3):
        assert query == query.strip() != ""
        assert way == "words" or query in text


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_gives_the_same_whatever_else_is_asked(way: str):
    corpus = Corpus.from_documents(Document(f"d{n}", PROSE.replace("three", f"{n} or {n + 1}")) for n in range(9))
    alone = pseudo_queries(corpus, [way], seed=3)
    assert alone
    assert alone == [query for query in pseudo_queries(corpus, [*WAYS], seed=3) if query.source == way]
    assert {query.doc_id for query in alone} <= set(corpus.doc_ids)
    if way in ("spans", "words"):
        assert pseudo_queries(corpus, [way], seed=4) != alone


@pytest.mark.parametrize(
    ("text", "title", "sentence"),
    [
        ("Rhine In spring the river is high. It falls.", "Rhine", "In spring the river is high."),
        ("How to sail. The wind is all you need. More.", "How to sail.", "The wind is all you need."),
        ("Coastal Scents The Brush Guard, 0.60-Ounce", "Coastal Scents The Brush Guard, 0.60-Ounce", None),
        (f"Sea Salt Soap - Face {'and Body ' * 9}", "Sea Salt Soap", f"Face {'and Body ' * 9}".strip()),
        (f"Union law Union law is {'very ' * 40}old.", "Union law", f"Union law is {'very ' * 29}".strip()),
        (f"Harbour The Old {'stone ' * 20}pier.", "Harbour", f"The Old {'stone ' * 20}pier."),
        (f"Sites Are Required {'for all ' * 20}.", "Sites Are Required", f"Sites Are Required {'for all ' * 14}for"),
        ("Dr. Smith of the U.S. Navy. He sails a boat.", "Dr. Smith of the U.S. Navy.", "He sails a boat."),
    ],
)
def test_title_and_first_sentence_by_hand(text: str, title: str, sentence: str | None):
    of = text_of(text.strip())
    assert WAYS["title"](of, random.Random(0), 3) == [title]
    assert WAYS["first-sentence"](of, random.Random(0), 3) == ([] if sentence is None else [sentence])


@pytest.mark.parametrize(
    ("written", "form", "is_telling", "may_end"),
    [
        ('"Smith\u2019s,', "smith", True, False),
        ("SODIAL(R)", "sodial", True, False),
        ("0.5-Ounce", "0.5-ounce", False, False),
        ("The", "the", False, False),
        ("oz.", "oz", False, False),
        ("e.g.", "e.g", True, False),
        ('sank.")', "sank", True, True),
        ("E15", "e15", True, False),
        ("--", "", False, False),
    ],
)
def test_words_by_hand(written: str, form: str, is_telling: bool, may_end: bool):
    word = word_of(written)
    assert (word.form, word.is_telling, word.may_end) == (form, is_telling, may_end)


def test_weights_by_hand():
    text = text_of("rose of rose garden", "garden", "the garden")
    assert text.weight == pytest.approx([np.log(1 + 3 / 1), 0, np.log(1 + 3 / 1), np.log(1 + 3 / 3)])


def test_spans_are_the_most_telling_and_stay_in_a_clause():
    common = ["keeper lamp notes storm ships reef saved old quiet man oil kept describe near three nobody"] * 20
    text = text_of(PROSE, *common)
    found = spans(text, random.Random(0), 9)
    assert "Smith's notes, kept in Boston" in found[0], "Smith and Boston are in no other document"
    for query in found:
        assert 3 <= len(query.split()) <= 12
        assert not re.search(r"[(:)]|lamp\. Dr|reef\. N", query)
    taken = [range(PROSE.index(query), PROSE.index(query) + len(query)) for query in found]
    assert len({at for each in taken for at in each}) == sum(map(len, taken)), "none overlaps another"


def test_typed_words_are_drawn_by_weight():
    text = text_of("Zebra zebra zebra " + " ".join(f"common{n}" for n in range(9)), *["common0 common1 common2"] * 50)
    drawn = [query for seed in range(40) for query in words(text, random.Random(seed), 3)]
    share = {form: np.mean([form in query.split() for query in drawn]) for form in ("zebra", "common0")}
    assert share["zebra"] > 2 * share["common0"]
    assert all(2 <= len(query.split()) <= 5 for query in drawn)


def test_a_passage_is_the_whole_of_a_short_text_and_a_stretch_of_a_long_one():
    assert WAYS["passage"](text_of(PROSE), random.Random(0), 3) == [PROSE]
    long = " ".join(f"w{n}" for n in range(70))
    found = WAYS["passage"](text_of(long), random.Random(0), 99)
    assert sorted(found) == sorted(" ".join(f"w{n}" for n in range(s, s + PASSAGE_WORDS)) for s in range(7))


def test_an_unknown_way_names_the_known(corpus: Corpus):
    with pytest.raises(InputError, match=r"no way 'titles' .* title, first-sentence, spans, words, passage"):
        pseudo_queries(corpus, ["titles"])


DOCUMENTS = Corpus.from_documents([Document("a", "red rose"), Document("7", "drum"), Document("c", "sail")])
RECORDS = [
    {"asin": "a", "ask": [" red  flower ", "", "rose"]},
    {"asin": "gone", "ask": ["what is it"]},
    {"asin": 7, "ask": []},
    {"asin": "a", "ask": ["rose", "thorn"]},
    {"asin": "gone too", "ask": None},
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_of_ones_own(kind: str, tmp_path: Path):
    path = tmp_path / f"own.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    else:
        pq.write_table(pa.Table.from_pylist([{**each, "asin": str(each["asin"])} for each in RECORDS]), path)
    found = column_queries(DOCUMENTS, path, "ask")
    assert found.queries == [PseudoQuery("a", text, "column") for text in ("red flower", "rose", "thorn")]
    assert found.notes == (f"2 of 5 records of {path} are of unknown documents (the first: 'gone')",)


def test_a_column_of_csv_and_an_id_of_its_own(tmp_path: Path):
    (tmp_path / "own.csv").write_text("sku,id,ask\nc,1,boat\n7,2,\n")
    found = column_queries(DOCUMENTS, tmp_path / "own.csv", "ask", id="sku")
    assert (found.queries, found.notes) == ([PseudoQuery("c", "boat", "column")], ())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", r"there are no records in .*own\.jsonl"),
        ('{"id": "a", "text": "x"}\n', r"has no column 'ask'.*'id', 'text'"),
        ('{"id": "a", "ask": "x"}\n{"id": "a", "ask": 3}\n', r"line 2: 'ask' is neither a string nor a list of"),
        ('{"id": "a", "ask": ["x", 1]}\n', r"line 1: 'ask' is neither"),
        ('{"id": "a", "ask": "x"}\n{"ask": "x"}\n', r"line 2: there is no id in 'id'"),
        ('{"id": "a", "ask": "x"}\n{"id"\n', r"line 2: broken JSON"),
        ('{"id": "x", "ask": "x"}\n', r"none of 1 records .*own\.jsonl .*whose ids are such as 'a'"),
    ],
)
def test_a_bad_file_is_refused(content: str, told: str, tmp_path: Path):
    (tmp_path / "own.jsonl").write_text(content)
    with pytest.raises(InputError, match=told):
        column_queries(DOCUMENTS, tmp_path / "own.jsonl", "ask")


def test_what_is_written_is_what_load_queries_reads(corpus: Corpus, tmp_path: Path):
    made = pseudo_queries(corpus, [*WAYS], per_document=2)
    write_pseudo_queries(tmp_path / "pseudo.jsonl", made)
    read = load_queries(tmp_path / "pseudo.jsonl", None, "test", corpus.doc_ids)
    joined: dict[str, tuple[str, dict[str, float]]] = {}  # queries of one text are one
    for query in made:
        joined.setdefault(text_key(query.text), (query.text, {}))[1][query.doc_id] = 1.0
    assert read.texts == tuple(text for text, _ in joined.values())
    assert read.relevant == tuple(grades for _, grades in joined.values())
    assert len(joined) < len(made), "else nothing is joined here"
    lines = [json.loads(line) for line in (tmp_path / "pseudo.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == [query.source for query in made]


def test_of_scripts_without_spaces_each_sign_is_a_word():
    text = text_of("สะพานสีแดงที่สูง", "ภูเขา")
    assert [word.form for word in text.words][-3:] == ["ที่", "สู", "ง"]
    assert text.words[-1].is_telling
    assert [word_of(sign).is_telling for sign in "桥물a"] == [True, True, False]
