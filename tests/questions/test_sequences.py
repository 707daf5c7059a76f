"""Sequences come in three forms and say the same; leave-one-out keeps what is held out from training."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.questions.sequence_files import load_sequences, load_taught, save_sequences
from lmindexer.questions.sequences import (
    Examples,
    Sequences,
    held_out,
    leave_one_out,
    seen_in_training,
    training_counts,
    training_examples,
)

DOC_IDS = ("a", "b", "c", "d", "7")
LISTS = [[0, 1, 2, 3, 1], [2], [4, 0], [3, 2, 4]]
TEXT = "u1 a b c d b\nu2 c\n\n u3\t7  a \nu4 d c 7\n"

many_lists = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=9), min_size=1, max_size=12)


def of(lists: list[list[int]]) -> Sequences:
    offsets = np.cumsum([0, *map(len, lists)])
    users = tuple(f"u{u}" for u in range(1, len(lists) + 1))
    return Sequences(users, np.concatenate(lists).astype(np.int32), offsets, leave_one_out(np.diff(offsets)))


def told(examples: Examples) -> list[tuple[str, list[int], int]]:
    return [
        (examples.sequences.users[examples.user[e]], examples.history(e).tolist(), int(examples.target[e]))
        for e in range(len(examples))
    ]


def same(one: Sequences, other: Sequences) -> bool:
    arrays = (np.array_equal(getattr(one, name), getattr(other, name)) for name in ("rows", "offsets", "parts"))
    return one.users == other.users and all(arrays)


def write(path: Path, text: str | list[Any]) -> Path:
    if not isinstance(text, str):
        text = "".join(json.dumps(record) + "\n" for record in text)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


# Files


@pytest.mark.parametrize("name", ["all.txt", "all.txt.gz", "ALL.TXT"])
def test_text(tmp_path: Path, name: str):
    found = load_sequences(write(tmp_path / name, TEXT), DOC_IDS)
    assert same(found, of(LISTS))
    assert found.rows.dtype == np.int32
    assert found.offsets.dtype == np.int64
    assert found.notes == ("2 of 4 users took fewer than 3 items: these are for training only (the first: 'u2')",)


@pytest.mark.parametrize("name", ["all.jsonl", "all.json.gz", "all.ndjson"])
@pytest.mark.parametrize("names", [("user", "items"), ("user_id", "item_ids")])
def test_json_lists(tmp_path: Path, name: str, names: tuple[str, str]):
    lists = [["a", "b", "c", "d", "b"], ["c"], [7, " a"], ["d", "c", "7"]]
    records = [{names[0]: f"u{n}", names[1]: items} for n, items in enumerate(lists, 1)]
    assert same(load_sequences(write(tmp_path / name, records), DOC_IDS), of(LISTS))


def test_reviews_are_put_in_order_by_time_and_else_stay(tmp_path: Path):
    reviews = [("x", "b", 20), ("y", "c", 9), ("x", "d", 10), ("x", "a", 20), ("y", "7", 8), ("x", "c", 3)]
    records = [{"reviewerID": user, "asin": item, "unixReviewTime": time} for user, item, time in reviews]
    found = load_sequences(write(tmp_path / "reviews.json.gz", records), DOC_IDS)
    assert found.users == ("x", "y")
    assert found.rows.tolist() == [2, 3, 1, 0, 4, 2]
    assert found.offsets.tolist() == [0, 4, 6]


def test_what_is_left_out_is_told(tmp_path: Path):
    path = write(tmp_path / "all.txt", "u1 a b c\nu2 gone gone\nu3 x a b d y\nu4 gone a\n")
    found = load_sequences(path, DOC_IDS)
    assert found.users == ("u1", "u3", "u4")
    assert found.rows.tolist() == [0, 1, 2, 0, 1, 3, 0]
    assert found.notes == (
        "5 of 12 items that users took are not in the corpus and are left out (the first: 'gone')",
        "1 of 4 users took no item of the corpus and are left out (the first: 'u2')",
        "1 of 3 users took fewer than 3 items: these are for training only (the first: 'u4')",
    )


@given(many_lists)
def test_saved_then_loaded_nothing_changes(tmp_path_factory: pytest.TempPathFactory, lists: list[list[int]]):
    doc_ids = ['"', "two words", "ü", "nan", "{}", "x\u2028y", "7"]  # a word for nothing, a line separator
    path = tmp_path_factory.mktemp("saved") / "sequences.jsonl"
    save_sequences(of(lists), doc_ids, path)
    assert same(load_taught(path, doc_ids), of(lists))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u1 a\nu2\n", "line 2: user 'u2' took nothing"),
        ("u1 a c\n\nu1 b\n", "line 3: user 'u1' was already in line 1"),
        ("", "is empty; write one user a line"),
        ("\n \n", "is empty; write one user a line"),
        ("u1 x\nu2 y\n", "no item of .* is in the corpus: of the file is, for example, 'x' and of the corpus .* 'a'"),
    ],
)
def test_broken_text_is_named(tmp_path: Path, text: str, expected: str):
    path = write(tmp_path / "all.txt", text)
    with pytest.raises(InputError, match=expected) as fault:
        load_sequences(path, DOC_IDS)
    assert str(path) in str(fault.value)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"user": "u2"}, "there is no list of ids in 'items'"),
        ({"user": "u2", "items": "a"}, "there is no list of ids in 'items'"),
        ({"user": "u2", "items": ["a", None]}, "there is no list of ids in 'items'"),
        ({"user": "u2", "items": ["a", " "]}, "there is no list of ids in 'items'"),
        ({"user": "u2", "items": []}, "user 'u2' took nothing"),
        ({"user": "u1", "items": ["b"]}, "user 'u1' was already in line 1"),
        ({"user": " ", "items": ["b"]}, "there is no id in 'user'"),
        ({"user": True, "items": ["b"]}, "the id in 'user' is a bool"),
        ({"user": "u\ud800", "items": ["b"]}, "half a character"),
        ({"user": "u2", "items": ["b\ud800"]}, "half a character"),
        ({"items": ["b"]}, "there is no id in 'user'"),
        ({}, "there is no list of ids"),
        (["u2", "b"], "a JSON list, not an object"),
    ],
)
def test_a_broken_record_is_named_by_its_line(tmp_path: Path, record: Any, expected: str):
    path = write(tmp_path / "all.jsonl", [{"user": "u1", "items": ["a"]}, record])
    with pytest.raises(InputError, match=f"line 2: .*{expected}|line 2: {expected}"):
        load_sequences(path, DOC_IDS)
    if expected != "user 'u1' was already in line 1":
        with pytest.raises(InputError, match="line 1: "):  # the first record is judged like any other
            load_sequences(write(tmp_path / "first.jsonl", [record]), DOC_IDS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unixReviewTime": "10 27, 2013"}, "no time in 'unixReviewTime'"),
        ({"unixReviewTime": True}, "no time in 'unixReviewTime'"),
        ({"unixReviewTime": float("nan")}, "no time in 'unixReviewTime'"),
        ({"asin": ""}, "no id in 'asin'"),
        ({"reviewerID": None}, "no id in 'reviewerID'"),
    ],
)
def test_a_broken_review_is_named_by_its_line(tmp_path: Path, change: dict[str, Any], expected: str):
    review = {"reviewerID": "u1", "asin": "a", "unixReviewTime": 5}
    with pytest.raises(InputError, match=f"line 2: there is {expected}"):
        load_sequences(write(tmp_path / "reviews.json", [review, review | change]), DOC_IDS)


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="unknown kind; the name of a file of sequences must end in"):
        load_sequences(write(tmp_path / "all.xml", "u1,a\n"), DOC_IDS)
    with pytest.raises(InputError, match="is no file"):
        load_sequences(tmp_path, DOC_IDS)
    (tmp_path / "latin.txt").write_bytes(b"u1 a\nu2 \xe9\n")
    with pytest.raises(InputError, match=r"latin\.txt, line 2: not UTF-8"):
        load_sequences(tmp_path / "latin.txt", DOC_IDS)
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(TEXT.encode())[:-9])
    with pytest.raises(InputError, match="not a whole gzip file"):
        load_sequences(tmp_path / "cut.txt.gz", DOC_IDS)


def test_offsets_that_part_nothing_well_are_refused():
    for offsets in ([0, 2], [0, 2, 2], [1, 2, 3], [0, 1, 2]):
        with pytest.raises(ValueError, match="offsets must part 3 rows among 2 users"):
            Sequences(("x", "y"), np.arange(3, dtype=np.int32), np.array(offsets), np.zeros(3, np.int8))
    with pytest.raises(ValueError, match="each of 3 rows must be in a part, not 2 of them"):
        Sequences(("x", "y"), np.arange(3, dtype=np.int32), np.array([0, 1, 3]), np.zeros(2, np.int8))


# Leave-one-out


def test_leave_one_out_by_hand():
    sequences = of(LISTS)
    assert told(training_examples(sequences)) == [("u1", [0], 1), ("u1", [0, 1], 2), ("u3", [4], 0)]
    assert told(held_out(sequences, "dev")) == [("u1", [0, 1, 2], 3), ("u4", [3], 2)]
    assert told(held_out(sequences, "test")) == [("u1", [0, 1, 2, 3], 1), ("u4", [3, 2], 4)]
    assert training_counts(sequences, 6).tolist() == [2, 1, 2, 1, 1, 0]
    assert seen_in_training(of([[0, 1, 2, 3], [0, 4]]), 6).tolist() == [True, True, False, False, True, False]


@given(many_lists)
def test_leave_one_out_is_what_a_loop_over_users_finds(lists: list[list[int]]):
    train, dev, test, parts = [], [], [], []
    for n, items in enumerate(lists, 1):
        user, part = f"u{n}", items
        if len(items) >= 3:
            part = items[:-2]
            dev.append((user, items[:-2], items[-2]))
            test.append((user, items[:-1], items[-1]))
        train += [(user, part[:i], part[i]) for i in range(1, len(part))]
        parts += part
    sequences = of(lists)
    assert told(training_examples(sequences)) == train
    assert told(held_out(sequences, "dev")) == dev
    assert told(held_out(sequences, "test")) == test
    assert training_counts(sequences, 7).tolist() == [parts.count(row) for row in range(7)]
    assert np.flatnonzero(seen_in_training(sequences, 7)).tolist() == sorted(set(parts))


@given(many_lists, st.integers(1, 5))
def test_samples_are_of_the_last_three_targets(lists: list[list[int]], samples: int):
    sequences = of(lists)
    whole, drawn = training_examples(sequences), training_examples(sequences, samples, seed=1)
    users = np.unique(whole.user)
    assert drawn.user.tolist() == np.repeat(users, samples).tolist()
    for user, target_at in zip(drawn.user, drawn.end, strict=True):
        assert target_at in whole.end[whole.user == user][-3:]
    assert np.array_equal(drawn.target, sequences.rows[drawn.end])
    assert np.array_equal(drawn.start, sequences.offsets[drawn.user])


LATER = [doc_id for doc_id in DOC_IDS if doc_id != "d"]


def in_parts(sequences: Sequences) -> dict[str, list[list[str]]]:
    """By user the items of each part."""
    found = {}
    for u, user in enumerate(sequences.users):
        its = slice(sequences.offsets[u], sequences.offsets[u + 1])
        rows, parts = sequences.rows[its], sequences.parts[its]
        found[user] = [[LATER[row] for row in rows[parts == part]] for part in range(3)]
    return found


def test_where_items_go_no_other_takes_their_place(tmp_path: Path):
    """The parts are those in which the run was taught; else what was trained on would be asked for, or counted."""
    lists = {"u1": "abcd", "u2": "dcba", "u3": "abdc", "u4": "da7", "u5": "add", "u6": "ab", "u7": "d"}
    path = write(tmp_path / "taken.txt", "".join(f"{user} {' '.join(items)}\n" for user, items in lists.items()))
    save_sequences(load_sequences(path, DOC_IDS), DOC_IDS, tmp_path / "taught.jsonl")
    taught = load_taught(tmp_path / "taught.jsonl", LATER)
    assert in_parts(taught) == {
        "u1": [["a", "b"], ["c"], []],
        "u2": [["c"], ["b"], ["a"]],
        "u3": [["a", "b"], [], ["c"]],
        "u4": [[], ["a"], ["7"]],
        "u5": [["a"], [], []],
        "u6": [["a", "b"], [], []],
    }
    row = LATER.index
    assert told(held_out(taught, "test")) == [
        ("u2", [row("c"), row("b")], row("a")), ("u3", [row("a"), row("b")], row("c")), ("u4", [row("a")], row("7"))
    ]  # fmt: skip
    assert told(held_out(taught, "dev")) == [("u1", [row("a"), row("b")], row("c")), ("u2", [row("c")], row("b"))]
    assert training_counts(taught, 4).tolist() == [4, 3, 1, 0], "a, b, c; 7 was held out"
    assert [each[::2] for each in told(training_examples(taught))] == [("u1", 1), ("u3", 1), ("u6", 1)]
    assert taught.notes == (
        "7 of 21 items that users took are not in the corpus and are left out (the first: 'd')",
        "1 of 7 users took no item of the corpus and are left out (the first: 'u7')",
        "the test items of 2 users are not in the corpus, and nothing takes their place",
    )


def test_a_run_that_was_taught_before_parts_were_kept_is_parted_as_it_was(tmp_path: Path):
    records = [
        {"user": "u1", "items": list("abcd")},
        {"user": "u2", "items": list("dcba")},
        {"user": "u3", "items": ["d"]},
    ]
    taught = load_taught(write(tmp_path / "sequences.jsonl", records), LATER)
    assert in_parts(taught) == {"u1": [["a", "b"], ["c"], []], "u2": [["c"], ["b"], ["a"]]}


@pytest.mark.parametrize("record", [{"user": "u"}, {"train": ["a"]}, {"user": "u", "train": 5}, ["u", "a"]])
def test_a_damaged_file_of_a_run_is_named_by_its_line(tmp_path: Path, record: Any):
    path = write(tmp_path / "sequences.jsonl", [{"user": "x", "train": ["a"]}, record])
    with pytest.raises(InputError, match=r"sequences\.jsonl, line 2 is damaged .*; fine-tune the run anew"):
        load_taught(path, DOC_IDS)


def test_samples_reach_each_of_the_three_and_follow_the_seed():
    sequences = of([[0, 1, 2, 3, 4, 5, 6]] * 200)
    drawn = training_examples(sequences, 5)
    assert np.bincount(drawn.target).tolist()[:2] == [0, 0]
    assert np.bincount(drawn.target)[2:] == pytest.approx(1000 / 3, rel=0.15)
    assert np.array_equal(drawn.end, training_examples(sequences, 5).end)
    assert not np.array_equal(drawn.end, training_examples(sequences, 5, seed=1).end)
    with pytest.raises(InputError, match=r"must be 0 .* or more, not -1"):
        training_examples(sequences, -1)


def test_nobody_to_evaluate_is_no_example():
    assert len(held_out(of([[0, 1], [2]]), "test")) == 0
