"""Queries come in three ways and say the same; what is left out is told, what is wrong is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries, load_queries, save_queries, splits_of
from lmindexer.questions.query_records import split_name

DOC_IDS = ("d1", "d2", "7")
RECORDS = [{"_id": "a", "text": " red  rose "}, {"_id": "b", "text": "drum"}, {"_id": "c", "text": "elsewhere"}]
QRELS = "query-id\tcorpus-id\tscore\na\td1\t2\na\td2\t0\nb\t7\t1\n"
EXPECTED = Queries(("a", "b"), ("red rose", "drum"), ({"d1": 2.0}, {"7": 1.0}))


def write(path: Path, records: list[Any]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def beir(folder: Path, name: str = "queries.jsonl", records: list[Any] = RECORDS, qrels: str = QRELS) -> Path:
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(qrels)
    write(folder / name, records)
    return folder


@pytest.mark.parametrize("name", ["queries.jsonl", "queries.jsonl.gz"])
def test_a_beir_folder(tmp_path: Path, name: str):
    assert load_queries(beir(tmp_path, name), None, "test", DOC_IDS) == EXPECTED


def test_two_files(tmp_path: Path):
    beir(tmp_path)
    own = write(tmp_path / "own.jsonl.gz", [{"id": each["_id"], "query": each["text"]} for each in RECORDS])
    assert load_queries(own, tmp_path / "qrels" / "test.tsv", "any", DOC_IDS) == EXPECTED
    assert load_queries(own, tmp_path / "qrels", "test", DOC_IDS) == EXPECTED
    (tmp_path / "trec.qrels").write_text("a 0 d1 2\nb 0 7 1\n")
    assert load_queries(tmp_path, tmp_path / "trec.qrels", "any", DOC_IDS) == EXPECTED


def test_one_file_of_queries_and_documents(tmp_path: Path):
    records = [
        {"id": "a", "query": "red rose", "item_ids": ["d1", "d2"], "grades": [2, 0], "split": "test"},
        {"text": "passed over", "doc_ids": ["d1"], "split": "train"},
        {"text": "drum", "doc_ids": [7, "7 "]},
    ]
    found = load_queries(write(tmp_path / "all.jsonl", records), None, "test", DOC_IDS)
    assert found == Queries(("a", "3"), *(getattr(EXPECTED, name) for name in ("texts", "relevant")))
    assert len(found) == 2


def test_what_the_corpus_lacks_counts_as_not_found_or_is_left_out_and_is_told(tmp_path: Path):
    qrels = QRELS + "a\tgone\t1\na\tgone, and not relevant\t0\nc\tgone too\t3\nd\td1\t1\ne\td1\t1\n"
    folder = beir(tmp_path, qrels=qrels)
    whole = load_queries(folder, None, "test", DOC_IDS)
    assert whole.query_ids == ("a", "b", "c")
    assert whole.relevant == ({"d1": 2.0, "gone": 1.0}, {"7": 1.0}, {"gone too": 3.0})
    missing, unknown, without = whole.notes
    assert missing.startswith("2 queries of ")
    assert missing.endswith("(the first: 'd')")
    assert unknown == "2 of 4 relevant documents are not in the corpus and count as not found (the first: 'gone')"
    assert without == "1 of 3 queries have no relevant document in the corpus and count as 0 (the first: 'c')"
    part = load_queries(folder, None, "test", DOC_IDS, answerable=True)
    assert (part.query_ids, part.relevant) == (EXPECTED.query_ids, EXPECTED.relevant)
    assert part.notes[1:] == (
        "2 of 4 relevant documents are not in the corpus and are left out (the first: 'gone')",
        "1 of 3 queries have no relevant document in the corpus and are left out (the first: 'c')",
    )


def test_queries_of_one_text_are_one_with_the_answers_of_all(tmp_path: Path):
    records = [
        {"id": "a", "query": "Red  rose", "item_ids": ["d1", "d2"], "grades": [1, 2]},
        {"id": "b", "query": "drum", "item_ids": ["7"]},
        {"id": "c", "query": "red ROSE ", "item_ids": ["d1", "7"], "grades": [3, 1], "joined_ids": ["z"]},
        {"id": "d", "query": "red\u00a0rose", "item_ids": ["d2"], "grades": [1]},
    ]
    path = write(tmp_path / "all.jsonl", records)
    found = load_queries(path, None, "test", DOC_IDS)
    assert (found.query_ids, found.texts) == (("a", "b"), ("Red rose", "drum"))
    assert found.relevant == ({"d1": 3.0, "d2": 2.0, "7": 1.0}, {"7": 1.0})
    assert found.joined_ids == {"a": ("c", "z", "d")}
    assert found.notes == (
        f"2 of 4 queries of {path} have the words of an earlier one and are joined with it, their answers together",
    )
    assert found.select([1]).joined_ids == {}
    save_queries(tmp_path / "kept.jsonl", {"test": found})
    kept = load_queries(tmp_path / "kept.jsonl", None, "test", DOC_IDS)
    assert kept == Queries(found.query_ids, found.texts, found.relevant, (), found.joined_ids)


def test_nothing_left_is_refused(tmp_path: Path):
    folder = beir(tmp_path)
    with pytest.raises(InputError, match=r"to none of 2 .*2 of 2 relevant .* first: 'd1'.* for example, 'x'"):
        load_queries(folder, None, "test", ["y", "x"])
    (tmp_path / "qrels" / "zero.tsv").write_text("a d1 0\n")
    with pytest.raises(InputError, match="no grade is above 0"):
        load_queries(folder, None, "zero", DOC_IDS)
    (tmp_path / "qrels" / "other.tsv").write_text("z d1 1\n")
    with pytest.raises(InputError, match="there is no query of this split"):
        load_queries(folder, None, "other", DOC_IDS)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path):
    folder = beir(tmp_path)
    (tmp_path / "qrels" / "train.tsv").write_text("a d1 1\n")
    with pytest.raises(InputError, match=r"no dev.tsv; the splits there are 'test', 'train'"):
        load_queries(folder, None, "dev", DOC_IDS)
    one = write(
        tmp_path / "one.jsonl", [{"query": "drum", "item_ids": [7], "split": each} for each in ("test", "train")]
    )
    with pytest.raises(InputError, match=r"has no split 'dev', only 'test', 'train'"):
        load_queries(one, None, "dev", DOC_IDS)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"query": " \u00a0", "item_ids": ["d1"]}, "line 2: the query is empty"),
        ({"query": None, "item_ids": ["d1"]}, "line 2: there is no query; give it as text"),
        ({"title": "drum", "item_ids": ["d1"]}, "line 2: there is no query; give it as text"),
        ({"query": "drum"}, "line 2: there is no list of ids"),
        ({"query": "drum", "item_ids": "d1"}, "line 2: there is no list of ids"),
        ({"query": "drum", "item_ids": [["d1"]]}, "line 2: there is no list of ids"),
        ({"query": "drum", "item_ids": ["d1"], "grades": [1, 2]}, "line 2: 'grades' must be a list of 1 numbers"),
        ({"query": "drum", "item_ids": ["d1"], "grades": ["1"]}, "line 2: 'grades' must be"),
        ({"query": "drum", "item_ids": ["d1"], "grades": [float("nan")]}, "line 2: 'grades' must be"),
        ({"query": "drum", "item_ids": ["d1", "d1"], "grades": [1, 2]}, "line 2: document 'd1' has two grades"),
        ({"id": "1", "query": "drum", "item_ids": ["d1"]}, "line 2: the id '1' was already in .* line 1"),
        ({"id": {}, "query": "drum", "item_ids": ["d1"]}, "line 2: the id in 'id' is a dict"),
        ("drum", "line 2: a JSON str, not an object"),
    ],
)
def test_a_broken_record_is_named_by_its_line(tmp_path: Path, record: Any, told: str):
    path = write(tmp_path / "all.jsonl", [{"query": "rose", "item_ids": ["d1"]}, record])
    with pytest.raises(InputError, match=told) as fault:
        load_queries(path, None, "test", DOC_IDS)
    assert str(path) in str(fault.value)


def test_queries_beside_judgements_need_ids(tmp_path: Path):
    folder = beir(tmp_path, records=[{"text": "drum"}])
    with pytest.raises(InputError, match="line 1: there is no id in '_id'"):
        load_queries(folder, None, "test", DOC_IDS)


def test_an_empty_query_of_another_split_does_no_harm(tmp_path: Path):
    folder = beir(tmp_path, records=[*RECORDS, {"_id": "other", "text": ""}])
    assert load_queries(folder, None, "test", DOC_IDS) == EXPECTED


def test_what_is_no_queries_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is not a BEIR folder"):
        load_queries(tmp_path, None, "test", DOC_IDS)
    with pytest.raises(InputError, match="does not exist"):
        load_queries(tmp_path / "none.jsonl", None, "test", DOC_IDS)
    (tmp_path / "queries.csv").write_text("id,text\na,drum\n")
    with pytest.raises(InputError, match="is not JSONL"):
        load_queries(tmp_path / "queries.csv", None, "test", DOC_IDS)


# Splits and sources


def test_some_of_them_in_another_order():
    queries = Queries(("a", "b", "c"), ("red", "drum", "pan"), ({"d1": 2.0}, {"7": 1.0}, {"d2": 1.0}), ("a note",))
    assert queries.select([2, 0]) == Queries(("c", "a"), ("pan", "red"), ({"d2": 1.0}, {"d1": 2.0}), ("a note",))
    assert len(queries.select(iter([]))) == 0


def test_the_splits_that_can_be_asked_for(tmp_path: Path):
    folder = beir(tmp_path)
    (tmp_path / "qrels" / "train.tsv").write_text("a d1 1\n")
    assert splits_of(folder, None) == splits_of(folder / "queries.jsonl", folder / "qrels") == {"test", "train"}
    assert splits_of(folder, folder / "qrels" / "test.tsv") == set(), "one file of judgements is not parted"
    assert splits_of(folder / "queries.jsonl", folder / "qrels" / "test.tsv") == set()
    pairs = [{"query": "drum", "item_ids": [7], "split": each} for each in ("dev", "train", "dev")]
    assert splits_of(write(tmp_path / "some.jsonl", pairs), None) == {"dev", "train"}
    assert splits_of(write(tmp_path / "none.jsonl", [{"query": "drum", "item_ids": [7]}]), None) == set()


def test_a_query_that_would_be_in_every_split_is_refused(tmp_path: Path):
    pairs = [{"query": "drum", "item_ids": [7], "split": "test"}, {"query": "rose", "item_ids": [7]}]
    with pytest.raises(
        InputError, match="some queries have no 'split', and would be in all of them; give each its own"
    ):
        splits_of(write(tmp_path / "all.jsonl", pairs), None)


def test_saved_then_loaded_every_split_is_the_same(tmp_path: Path):
    other = Queries(("a",), ("déjà vu",), ({"d2": 0.5, "d1": 3.0, "not there yet": 1.0},))
    save_queries(tmp_path / "all.jsonl", {"train": EXPECTED, "test": other})
    assert splits_of(tmp_path / "all.jsonl", None) == {"train", "test"}
    for split, queries in (("train", EXPECTED), ("test", other)):
        found = load_queries(tmp_path / "all.jsonl", None, split, DOC_IDS)
        assert (found.query_ids, found.texts, found.relevant) == (queries.query_ids, queries.texts, queries.relevant)


def test_an_id_may_be_in_several_splits_but_once_in_each(tmp_path: Path):
    pairs = [
        {"id": "a", "query": f"drum {n}", "item_ids": [7], "split": split} for n, split in enumerate(("dev", "test"))
    ]
    path = write(tmp_path / "all.jsonl", pairs)
    assert [load_queries(path, None, split, DOC_IDS).query_ids for split in ("dev", "test")] == [("a",), ("a",)]
    with pytest.raises(InputError, match=r"line 3: the id 'a' was already in .* line 1; rename one"):
        load_queries(write(tmp_path / "twice.jsonl", [*pairs, pairs[0] | {"split": "valid"}]), None, "test", DOC_IDS)


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation", "Validation", "DEV "])
def test_dev_has_several_names(tmp_path: Path, name: str):
    assert split_name(name) == "dev"
    folder = beir(tmp_path)
    (tmp_path / "qrels" / f"{name}.tsv").write_text("b\t7\t1\n")
    pairs = [
        {"id": "b", "query": "drum", "item_ids": [7], "split": name},
        {"id": "x", "query": "pan", "item_ids": [7], "split": "Test"},
    ]
    one = write(tmp_path / "one.jsonl", pairs)
    for queries in (folder, one):
        assert splits_of(queries, None) == {"dev", "test"}
        assert load_queries(queries, None, "dev", DOC_IDS) == load_queries(queries, None, "valid", DOC_IDS)
        assert load_queries(queries, None, "dev", DOC_IDS).query_ids == ("b",)
    (tmp_path / "qrels" / "vAl.tsv").write_text("b\t7\t1\n")
    with pytest.raises(InputError, match="which are one split; keep one of them"):
        load_queries(folder, None, "dev", DOC_IDS)


def test_a_split_of_null_is_none(tmp_path: Path):
    pairs = [{"query": "drum", "item_ids": [7], "split": None}, {"query": "rose", "item_ids": [7]}]
    path = write(tmp_path / "all.jsonl", pairs)
    assert splits_of(path, None) == set()
    assert load_queries(path, None, "test", DOC_IDS).texts == ("drum", "rose")
    with pytest.raises(InputError, match="some queries have no 'split'"):
        splits_of(write(tmp_path / "half.jsonl", [pairs[0], pairs[1] | {"split": "test"}]), None)


def test_only_queries_of_some_sources(tmp_path: Path):
    pairs = [{"query": f"drum {each}", "item_ids": [7], "source": each} for each in ("title", "words", "model")]
    path = write(tmp_path / "pseudo.jsonl", [*pairs, {"query": "asked", "item_ids": [7]}])
    assert load_queries(path, None, "train", DOC_IDS, ["words", "title"]).texts == ("drum title", "drum words")
    assert len(load_queries(path, None, "train", DOC_IDS)) == 4
    with pytest.raises(InputError, match="no queries of the source 'span'; the sources there are 'model', 'title', 'w"):
        load_queries(path, None, "train", DOC_IDS, ["span", "words"])
    with pytest.raises(InputError, match="no queries of the source 'title'; the sources there are none"):
        load_queries(
            write(tmp_path / "asked.jsonl", [{"query": "a", "item_ids": [7]}]), None, "train", DOC_IDS, ["title"]
        )
