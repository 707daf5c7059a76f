"""What is learned from, chosen by and judged by is kept apart, and what was left out for it is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries, text_key
from lmindexer.questions.splits import keep_apart, load_splits, with_note_of_training

DOC_IDS = ("d1", "d2", "d3")


def of(*texts: str, notes: tuple[str, ...] = ()) -> Queries:
    return Queries(tuple(f"q{n}" for n in range(len(texts))), texts, tuple({"d1": 1.0} for _ in texts), notes)


def test_what_is_in_test_is_neither_learned_from_nor_chosen_by_and_dev_is_not_learned_from():
    train, made = of("a", "B  b", "c", "d", notes=("before",)), of("e", "C", "b B")
    splits = {"train": train, "dev": of("b b", "x", "t"), "test": of("T", "c")}
    left, kept = keep_apart([train, made], splits)
    assert [queries.texts for queries in left] == [("a", "d"), ("e",)]
    assert (kept["dev"].texts, kept["test"].texts) == (("b b", "x"), ("T", "c"))
    assert left[0].notes == (
        "before",
        "1 of 3 dev queries have the words of test queries and are left out",
        "2 of 4 training queries have the words of dev or test queries and are left out",
        "2 of 3 pseudo-queries have the words of dev or test queries and are left out",
    )


def test_what_has_nothing_in_common_stays_as_it_is():
    train, splits = of("a", "b", notes=("before",)), {"test": of("c")}
    assert keep_apart([train], splits) == ([train], splits)
    assert keep_apart([train, train], {}) == ([train, train], {})


def test_nothing_left_to_learn_from_is_refused():
    with pytest.raises(InputError, match="all 2 training queries have the words of dev or test queries"):
        keep_apart([of("a", "b")], {"test": of("A"), "dev": of("B")})


texts = st.lists(st.text("aAb ", min_size=1).filter(str.strip), max_size=8, unique_by=text_key)


@given(texts, texts, texts, texts)
def test_no_text_is_in_two_parts(train: list[str], made: list[str], dev: list[str], test: list[str]):
    left, kept = keep_apart([of("something else", *train), of(*made)], {"dev": of(*dev), "test": of(*test)})
    keys = {name: set(map(text_key, queries.texts)) for name, queries in kept.items()}
    learned = {text_key(text) for queries in left for text in queries.texts}
    assert not keys["dev"] & keys["test"]
    assert not learned & (keys["dev"] | keys["test"])
    everything = set(map(text_key, ["something else", *train, *made, *dev, *test]))
    assert learned | keys["dev"] | keys["test"] == everything, "nothing is lost"


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_dev_and_test_queries_are_kept_whatever_the_corpus_holds_and_other_splits_are_named(tmp_path: Path):
    records: list[dict[str, Any]] = [
        {"id": f"{split}{n}", "query": f"{split} {n}", "item_ids": items, "split": split}
        for split in ("train", "valid", "test", "spare", "more")
        for n, items in enumerate((["d1", "later"], ["later"]))
    ]
    splits = load_splits(write(tmp_path / "all.jsonl", records), None, DOC_IDS)
    assert {split: queries.query_ids for split, queries in splits.items()} == {
        "train": ("train0",), "dev": ("valid0", "valid1"), "test": ("test0", "test1"),
    }  # fmt: skip
    assert splits["train"].relevant == ({"d1": 1.0},)
    assert splits["test"].relevant == ({"d1": 1.0, "later": 1.0}, {"later": 1.0})
    assert [note.split(" (")[0] for note in splits["train"].notes] == [
        "2 of 3 relevant documents are not in the corpus and are left out",
        "1 of 2 queries have no relevant document in the corpus and are left out",
        "dev: 2 of 3 relevant documents are not in the corpus and count as not found",
        "dev: 1 of 2 queries have no relevant document in the corpus and count as 0",
        "test: 2 of 3 relevant documents are not in the corpus and count as not found",
        "test: 1 of 2 queries have no relevant document in the corpus and count as 0",
        "the queries of the splits 'more', 'spare' are passed over",
    ]
    assert not splits["dev"].notes
    assert not splits["test"].notes


def test_without_a_split_all_is_for_training_and_without_train_nothing_is(tmp_path: Path):
    records = [{"query": f"drum {n}", "item_ids": ["d1"]} for n in range(3)]
    assert list(load_splits(write(tmp_path / "all.jsonl", records), None, DOC_IDS)) == ["train"]
    records = [{"query": f"drum {n}", "item_ids": ["d1"], "split": "test"} for n in range(3)]
    with pytest.raises(InputError, match="has no split 'train' to learn from, only 'test'"):
        load_splits(write(tmp_path / "test.jsonl", records), None, DOC_IDS)


def test_other_queries_that_a_run_was_trained_with_are_counted():
    asked = of("a", "B", "c", notes=("before",))
    assert with_note_of_training(asked, of("b ", "A", "x")).notes == (
        "before",
        "2 of 3 queries have the words of queries that the run was trained with",
    )
    assert with_note_of_training(asked, of("x")) == asked
