"""Queries and histories that are in Python are what files of them are."""

from pathlib import Path

import numpy as np
import pytest

from lmindexer.errors import InputError
from lmindexer.questions.histories import Histories
from lmindexer.questions.queries import Queries
from lmindexer.questions.sequence_files import load_sequences
from small_tasks import write_jsonl, write_queries


def test_queries_of_a_dict():
    queries = Queries.of({"the  rose": [4711, np.int64(2)], "old pan": {"b": 2, 3: 0}, "The Rose": {"4711": 3}})
    assert queries.texts == ("the rose", "old pan")
    assert queries.query_ids == ("0", "1")
    assert queries.relevant == ({"4711": 3.0, "2": 1.0}, {"b": 2.0})
    assert queries.joined_ids == {"0": ("2",)}
    assert queries.notes[0].startswith("1 of 3 queries of the queries have the words of an earlier one")
    assert Queries.of(queries).relevant == queries.relevant
    assert Queries.of(queries).joined_ids == queries.joined_ids


def test_the_same_as_from_a_file(tmp_path: Path):
    path = write_jsonl(
        tmp_path / "q.jsonl", [{"query": "a b", "item_ids": ["x", "y"]}, {"query": "c", "item_ids": [7]}]
    )
    of_file = Queries.read(path)
    of_memory = Queries.of({"a b": ["x", "y"], "c": [7]})
    assert (of_memory.texts, of_memory.relevant, of_memory.notes) == (of_file.texts, of_file.relevant, of_file.notes)


def test_read_needs_no_documents(tmp_path: Path):
    path = write_queries(tmp_path / "q.jsonl")
    assert len(Queries.read(str(path), split="dev")) == 8
    assert Queries.read(path).notes == ()
    checked = Queries.read(path, documents=["doc0", "doc3"])
    assert any("count as not found" in note for note in checked.notes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": "doc1"}, r"the documents of the query 'a' must be a list, not the one text 'doc1'"),
        ({"a": 17}, r"the documents of the query 'a' must be a list, not 17"),
        ({"a": [None]}, "None is no id of a document"),
        ({"a": {"x": "high"}}, "the query 'a': 'grades' must be a list of 1 numbers"),
        ({" ": ["x"]}, "the queries, row 0: the query is empty"),
        ({}, "there is no query of this split in the queries"),
        ({"a": {"x": 0}}, "no grade is above 0"),
        (["a"], r"queries are \{text: ids\} .* not \['a'\]; give a dict"),
    ],
)
def test_what_is_no_query_is_refused(data: object, message: str):
    with pytest.raises(InputError, match=message):
        Queries.of(data)  # type: ignore[arg-type]


def test_histories_of_a_dict_and_of_a_list(tmp_path: Path):
    (tmp_path / "taken.txt").write_text("u1 a b c\nu2 b 7\n")
    of_file = Histories.read(tmp_path / "taken.txt")
    assert of_file.taken == Histories.of({"u1": ["a", "b", "c"], "u2": np.array(["b", "7"])}).taken
    assert Histories.of([["a", "b"], np.array([1, 2])]).taken == {"0": ["a", "b"], "1": ["1", "2"]}
    assert Histories.of({3: [4]}).taken == {"3": ["4"]}
    of_both = [load_sequences(data, ("a", "b", "c", "7")) for data in (of_file, tmp_path / "taken.txt")]
    assert of_both[0].rows.tolist() == of_both[1].rows.tolist() == [0, 1, 2, 1, 3]
    assert of_both[0].notes == of_both[1].notes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.txt", "nowhere.txt is no file"),
        ({"u": "doc1"}, "what user u took must be a list, not the one text 'doc1'"),
        (["doc1"], "what user 0 took must be a list"),
        ({"u": []}, "the histories, history 0: user 'u' took nothing"),
        ({"1": ["a"], 1: ["b"]}, "the histories, history 1: user '1' was already in history 0"),
    ],
)
def test_what_is_no_history_is_refused(data: object, message: str):
    with pytest.raises(InputError, match=message):
        Histories.of(data)  # type: ignore[arg-type]


def test_items_that_the_corpus_lacks_are_told_by_what_they_stand_in():
    with pytest.raises(InputError, match="no item of the histories is in the corpus"):
        load_sequences([["x", "y"]], ["a"])
