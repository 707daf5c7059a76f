"""ESCI, Natural Questions, MS MARCO, TREC-DL and BEIR in their published forms, read back as queries."""

import json
from pathlib import Path
from typing import Any

import pytest

from lmindexer.errors import InputError
from lmindexer.prepare.nq320k import title_key
from lmindexer.prepare.prepared import Prepared
from lmindexer.prepare.preparing import prepare
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries, load_queries, splits_of
from raw_sets import (
    asin,
    esci,
    example,
    lines_of,
    original,
    product,
    put,
    read_lines,
    simplified,
    write_beir,
    write_esci,
    write_msmarco,
    write_nq,
    write_trec_dl,
)

QUIET = Progress(None)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def documents(out: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in read_lines(out / "corpus.jsonl.gz")]
    by_id = {str(record.get("id", record.get("_id"))): record for record in found}
    assert len(by_id) == len(found)
    return by_id


def split(out: Path, name: str) -> Queries:
    return load_queries(out, None, name, documents(out))


def counts(prepared: Prepared) -> dict[str, int]:
    return {count.what: count.ours for count in prepared.counts}


# ESCI


def test_only_exact_products_of_the_locale_answer(raw: Path, out: Path):
    prepared = prepare("esci", esci(raw), out, {}, QUIET)
    assert documents(out)[asin(3)] == {"_id": asin(3), "title": f"thing {asin(3)}", "text": "light\nand red Acme"}
    assert len(documents(out)) == 8
    train, dev = split(out, "train"), split(out, "dev")
    relevant = dict(zip((*train.query_ids, *dev.query_ids), (*train.relevant, *dev.relevant), strict=True))
    assert relevant == {str(n): {asin(n % 8): 1.0} for n in range(16)} | {"0": {asin(0): 1.0, asin(5): 1.0}}
    assert split(out, "test").texts == tuple(f"query {n}" for n in range(16, 20))
    assert "1 queries with exact products have none among the documents" in prepared.notes[0]


@pytest.mark.parametrize(("train", "dev"), [(1_049, 150), (1_299, 186), (1_010, 145)])
def test_an_eighth_of_the_training_queries_is_for_dev_as_in_table_7(train: int, dev: int, raw: Path, out: Path):
    rows = [example(n, asin(0), "E", "train") for n in range(train + dev)]
    found = counts(prepare("esci", write_esci(raw, rows, [product(asin(0))]), out, {}, QUIET))
    assert (found["train queries"], found["dev queries"]) == (train, dev)


def test_dev_queries_are_drawn_by_the_seed_alone(raw: Path, tmp_path: Path):
    rows = [example(n, asin(0), "E", "train") for n in range(64)]
    drawn = []
    for n, (examples, seed) in enumerate([(rows, 0), (rows[::-1], 0), (rows, 1)]):
        prepare("esci", write_esci(raw, examples, [product(asin(0))]), tmp_path / str(n), {"seed": seed}, QUIET)
        drawn.append(set(split(tmp_path / str(n), "dev").query_ids))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 8


def test_queries_are_kept_to_a_catalogue_by_asin(raw: Path, out: Path):
    """The items have ids of their own beside their ASINs, and queries then name these."""
    items = [{"id": n + 1, "asin": asin(n), "title": f"item {n}", "categories": [["a", "b"]]} for n in range(3)]
    catalogue = put(raw / "items.jsonl.gz", lines_of(items))
    options = {"catalogue": catalogue, "name": "Beauty"}
    prepared = prepare("esci", esci(raw), out, options, QUIET)
    assert list(documents(out).values()) == items
    assert split(out, "test").relevant == ({"1": 1.0}, {"2": 1.0}, {"3": 1.0})
    found = {count.what: count.paper for count in prepared.counts}
    assert (found["documents"], found["dev queries"], found["test labels"]) == (12_101, 150, 582)


@pytest.mark.parametrize(
    ("rows", "products", "options", "cause"),
    [
        ([{"query": "a"}], [product("a")], {}, "has no column query_id, product_id, product_locale, esci_label, split"),
        ([example(1, "a", "E", "train")], [product("a")], {"locale": "xx"}, "no product of the locale 'xx'"),
        ([example(1, "a", "S", "train")], [product("a")], {}, "no exact label of the locale 'us'"),
        ([example(1, "a", "E", "dev")], [product("a")], {}, "row 1: it has no query, or a split other than"),
        ([example(1, "a", "E", "train")], [product("a")] * 2, {}, "has two documents of the product 'a'"),
    ],
)
def test_other_examples_are_refused(rows: Any, products: Any, options: Any, cause: str, raw: Path, out: Path):
    with pytest.raises(InputError, match=cause):
        prepare("esci", write_esci(raw, rows, products), out, options, QUIET)


# Natural Questions


def test_pages_of_one_title_are_one_and_every_question_stays(raw: Path, out: Path):
    prepared = prepare("nq320k", write_nq(raw), out, {}, QUIET)
    pages = documents(out)
    assert [page["title"] for page in pages.values()] == ["Rose", "Café oven", "Mast (sailing)", "Rain"]
    assert pages["0"]["text"] == "Rose - Wikipedia Rose a < b rose"
    assert pages["3"]["text"] == "wet , cold"
    train, test = split(out, "train"), split(out, "test")
    assert dict(zip(train.query_ids, train.relevant, strict=True)) == {
        "-7": {"0": 1}, "2": {"0": 1}, "3": {"1": 1}, "4": {"1": 1}, "5": {"2": 1},
    }  # fmt: skip
    assert [list(grades) for grades in test.relevant] == [["2"], ["3"]]
    assert {count.what: count.paper for count in prepared.counts}["train queries"] == 307_373


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Café  Oven", "cafe oven", True), ("St.Louis", "st. louis", True), ("New York", "newyork", False),
        ("C++", "C", False), ("Straße", "STRASSE", True),
    ],
)  # fmt: skip
def test_titles_are_alike_as_a_lower_case_tokenizer_sees_them(one: str, other: str, alike: bool):
    assert (title_key(one) == title_key(other)) == alike


def test_a_page_longer_than_a_document_is_cut(raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lmindexer.prepare.nq320k.MAX_CHARACTERS", 20)
    prepared = prepare("nq320k", write_nq(raw), out, {}, QUIET)
    assert prepared.notes == ("3 pages are cut to 20 characters",)
    assert {len(page["title"] + " " + page["text"]) for page in documents(out).values()} == {15, 20}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"document_text": None}, "line 1: there is neither document_text nor document_tokens"),
        ({"question_text": " "}, "line 1: there is no question_text"),
        ({"document_url": "https://a/b"}, "line 1: there is neither document_title nor a title in document_url"),
        ({"example_id": 2}, "line 2: the question 2 was already in line 1 of simplified"),
    ],
)
def test_other_records_than_questions_are_refused(change: dict[str, Any], cause: str, raw: Path, out: Path):
    write_nq(raw)
    records = [simplified(1, "a", "A", "x") | change, simplified(2, "b", "B", "y")]
    put(raw / "simplified-nq-train.jsonl.gz", lines_of(records))
    with pytest.raises(InputError, match=cause):
        prepare("nq320k", raw, out, {}, QUIET)


def test_the_original_parts_are_read_in_their_order(raw: Path, out: Path):
    for n, title in ((1, "b"), (0, "a")):
        put(raw / f"nq-train-0{n}.jsonl.gz", lines_of([original(n, f"q{n}", title, "text")]))
    put(raw / "dev" / "nq-dev-00.jsonl.gz", lines_of([original(9, "q", "c", "text")]))
    prepare("nq320k", raw, out, {}, QUIET)
    assert [page["title"] for page in documents(out).values()] == ["a", "b", "c"]


# MS MARCO and TREC-DL


def test_the_subset_has_all_relevant_passages_and_others_by_the_seed(raw: Path, tmp_path: Path):
    write_msmarco(raw)
    kept = {}
    for seed in (0, 1):
        prepare("msmarco", raw, tmp_path / f"{seed}", {"passages": 24, "seed": seed}, QUIET)
        kept[seed] = documents(tmp_path / f"{seed}")
        assert len(kept[seed]) == 24
        assert {str(n) for n in range(14)} <= kept[seed].keys()
    assert kept[0].keys() != kept[1].keys()
    assert kept[0]["0"] == {"_id": "0", "title": "", "text": "rose soap\tand 0"}
    reversed_lines = (raw / "collection.tsv").read_text().splitlines()[::-1]
    put(raw / "collection.tsv", "\n".join(reversed_lines))
    prepare("msmarco", raw, tmp_path / "reversed", {"passages": 24}, QUIET)
    assert documents(tmp_path / "reversed").keys() == kept[0].keys(), "the order of the file does not count"


def test_train_and_dev_queries_with_judgements_are_kept(raw: Path, out: Path):
    prepared = prepare("msmarco", write_msmarco(raw), out, {"passages": 0}, QUIET)
    assert len(documents(out)) == 40
    train = split(out, "train")
    assert train.query_ids == tuple(str(100 + n) for n in range(8))
    assert train.joined_ids == {"100": ("108",), "101": ("109",)}, "queries of one text are read as one"
    assert split(out, "test").relevant == tuple({str(10 + n): 1.0} for n in range(4))
    assert {count.what: count.paper for count in prepared.counts} == {
        "documents": 1_000_000, "train queries": 502_939, "train labels": 532_751, "test queries": 6_980,
        "test labels": 7_437,
    }  # fmt: skip


def test_a_subset_that_cannot_hold_what_is_relevant_is_refused(raw: Path, out: Path):
    with pytest.raises(InputError, match=r"14 passages of .* are relevant to some query, more than --passages 13"):
        prepare("msmarco", write_msmarco(raw), out, {"passages": 13}, QUIET)
    put(raw / "collection.tsv", "0\ta\n1 b\n")
    with pytest.raises(InputError, match=r"collection.tsv, line 2: there are not 2 fields"):
        prepare("msmarco", raw, out, {}, QUIET)
    put(raw / "collection.tsv", b"0\ta\n1\t\xff\n")
    with pytest.raises(InputError, match=r"collection.tsv, line 2: not UTF-8"):
        prepare("msmarco", raw, out, {}, QUIET)


def test_what_is_judged_but_not_there_is_told(raw: Path, out: Path):
    write_msmarco(raw)
    put(raw / "qrels.train.tsv", "100\t0\t0\t1\n999\t0\t777\t1\n")
    notes = prepare("msmarco", raw, out, {"passages": 0}, QUIET).notes
    assert "1 relevant passages are not in" in notes[0]
    assert notes[1] == "1 judged queries are not in queries.train.tsv (the first: '999')"


def test_both_years_are_one_test_in_the_subset_of_msmarco(raw: Path, out: Path, tmp_path: Path):
    prepared = prepare("trec-dl", write_trec_dl(raw), out, {"passages": 24}, QUIET)
    prepare("msmarco", raw, tmp_path / "msmarco", {"passages": 24}, QUIET)
    assert documents(out).keys() == documents(tmp_path / "msmarco").keys()
    lines = (out / "qrels" / "test.tsv").read_text().splitlines()[1:]
    assert lines == ["301\t0\t3", "301\t1\t0", "301\t2\t1", "401\t12\t2"], "grades are kept, what is outside is not"
    assert split(out, "test").texts == ("one", "three")
    found = counts(prepared)
    assert (found["test labels of grade 2 or 3"], found["test labels of grade 1 to 3"]) == (2, 3)
    assert "1 of 3 test queries have no relevant passage in the subset" in prepared.notes
    assert prepared.commands[-1].endswith("--relevance-level 2")
    put(raw / "2020qrels-pass.txt", "301 0 12 2\n")
    with pytest.raises(InputError, match=r"2020qrels-pass.txt judges the query '301', as .*2019qrels-pass.txt does"):
        prepare("trec-dl", raw, tmp_path / "again", {"passages": 24}, QUIET)


# BEIR


def test_a_beir_folder_is_checked_and_validation_is_dev(raw: Path, out: Path):
    prepared = prepare("beir", write_beir(raw), out, {}, QUIET)
    assert splits_of(out, None) == {"train", "dev", "test"}
    assert split(out, "train").relevant == ({"d0": 1.0}, {"d1": 2.0}, {"d2": 1.0})
    assert split(out, "dev").query_ids == ("q3",)
    assert (out / "qrels" / "test.tsv").read_text() == "query-id\tcorpus-id\tscore\nq4\td4\t1\nq4\tgone\t1\nq5\td5\t0\n"
    assert documents(out)["d3"] == {"_id": "d3", "title": "", "text": "violin bow", "metadata": {"year": 3}}
    assert prepared.notes == (
        "1 judged documents are not in the corpus (the first: 'gone'), and count as not found",
        "1 documents have neither title nor text; learn needs --keep-empty",
        "2 queries have no judgement, and are left out",
        "1 judged dev queries are not among the queries, and are left out",
    )


def test_one_of_several_beir_sets_is_named(raw: Path, out: Path):
    for name in ("scifact", "nfcorpus"):
        write_beir(raw / name)
    with pytest.raises(InputError, match=r"has several sets; choose one with --name \(nfcorpus, scifact\)"):
        prepare("beir", raw, out, {}, QUIET)
    assert counts(prepare("beir", raw, out, {"name": "scifact"}, QUIET))["documents"] == 8


def test_two_files_of_one_split_and_an_id_twice_are_refused(raw: Path, out: Path):
    write_beir(raw)
    put(raw / "qrels" / "dev.tsv", "query-id\tcorpus-id\tscore\nq3\td3\t1\n")
    with pytest.raises(InputError, match=r"has dev.tsv and validation.tsv, which are one split; keep one"):
        prepare("beir", raw, out, {}, QUIET)
    (raw / "qrels" / "dev.tsv").unlink()
    put(raw / "corpus.jsonl", lines_of([{"_id": "d0", "text": "a"}, {"_id": "d0", "text": "a"}]))
    with pytest.raises(InputError, match=r"corpus.jsonl, line 2: the id 'd0' was already in line 1"):
        prepare("beir", raw, out, {}, QUIET)
