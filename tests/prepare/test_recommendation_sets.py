"""What users took, filtered, in order and parted: worked by hand, and as finetune and evaluate read it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.errors import InputError
from lmindexer.prepare.event_table import EventTable, core, gather, in_time, tied, without_repeats
from lmindexer.prepare.recommendation import History, write_history
from lmindexer.progress import Progress
from lmindexer.questions.events import Event
from lmindexer.questions.interactions import Log
from lmindexer.questions.sequence_files import load_sequences, load_taught, save_sequences
from lmindexer.questions.sequences import PARTS, asked_of
from raw_sets import read_lines

QUIET = Progress(None)


def table(*events: tuple[str, str, float | None]) -> EventTable:
    return gather(Event(*event) for event in events)


def shown(events: EventTable) -> list[tuple[str, str]]:
    return [(events.users[u], events.items[i]) for u, i in zip(events.user.tolist(), events.item.tolist(), strict=True)]


def write(folder: Path, events: list[tuple[str, str, float | None]], **history: Any) -> Any:
    return write_history(Log(iter([Event(*event) for event in events])), History(**history), folder, QUIET)


def test_what_falls_out_takes_others_with_it():
    """Without u3 the item c has one event, without c the user u2 has one, and so on: a chain, and a pair that stays."""
    events = table(
        ("u1", "a", 1), ("u1", "b", 2), ("u4", "a", 1), ("u4", "b", 2), ("u2", "b", 3), ("u2", "c", 4), ("u3", "c", 5)
    )
    assert shown(core(events, 2)) == [("u1", "a"), ("u1", "b"), ("u4", "a"), ("u4", "b")]
    assert len(core(events, 1)) == len(core(events, 0)) == len(events)
    assert len(core(events, 3)) == 0


def test_the_core_is_the_largest_set_in_which_all_have_enough():
    dice = np.random.default_rng(0)
    events = table(*((f"u{u}", f"i{i}", n) for n, (u, i) in enumerate(dice.integers(0, 30, (170, 2)).tolist())))
    kept = shown(core(events, 4))
    assert 0 < len(kept) < len(events), "the test needs a core"
    slow = shown(events)
    while few := {x for place in (0, 1) for x, n in Counter(pair[place] for pair in slow).items() if n < 4}:
        slow = [pair for pair in slow if not few & set(pair)]
    assert kept == slow


def test_an_event_that_stands_twice_is_one_and_at_another_time_it_is_not():
    events = without_repeats(table(("u", "b", 5), ("u", "a", 1), ("u", "b", 5), ("u", "b", 6), ("v", "b", 5)))
    assert shown(events) == [("u", "b"), ("u", "a"), ("u", "b"), ("v", "b")]


def test_users_stay_in_their_order_and_events_go_by_time():
    events = in_time(table(("v", "a", 3), ("u", "b", 2), ("v", "c", 1), ("u", "a", 1)), True, 0)
    assert shown(events) == [("v", "c"), ("v", "a"), ("u", "a"), ("u", "b")]
    events = in_time(table(("u", "b", None), ("u", "a", None)), True, 0)
    assert shown(events) == [("u", "b"), ("u", "a")], "without times the order of the log is that of time"


def on_one_day(users: int) -> EventTable:
    """Every user took a and then b on one day, as a log has them that goes by the items' ids, and z before."""
    return table(*((f"u{u}", item, time) for u in range(users) for item, time in (("a", 2), ("b", 2), ("z", 1))))


def test_no_item_comes_first_of_a_tie_more_often_than_another():
    """A hash of the item alone would put the same one first for every user, which a model could learn."""
    events = shown(in_time(on_one_day(1000), True, 0))
    assert all(item == "z" for _, item in events[::3])
    first = Counter(item for _, item in events[1::3])
    assert 430 < first["a"] < 570
    assert events == shown(in_time(on_one_day(1000), True, 0))
    assert events != shown(in_time(on_one_day(1000), True, 1))
    assert {item for _, item in shown(in_time(on_one_day(1000), False, 0))[1::3]} == {"a"}


def test_ties_do_not_hang_on_the_order_of_the_file():
    whole = [("u", item, 7.0) for item in "abcdefgh"]
    assert shown(in_time(table(*whole), True, 0)) == shown(in_time(table(*whole[::-1]), True, 0))


def test_tied_events_are_those_of_one_user_and_time():
    events = table(("u", "a", 1), ("u", "b", 1), ("u", "c", 2), ("v", "d", 2), ("v", "e", 3), ("v", "f", 3))
    assert tied(events).tolist() == [True, True, False, False, True, True]


EVENTS = [("u", item, time) for time, item in enumerate("abcdef")] + [
    ("v", item, 10.0 * n) for n, item in enumerate("ab")
]


def test_whole_sequences_are_those_that_are_read(tmp_path: Path):
    taken = write(tmp_path, [*EVENTS[::-1], EVENTS[0]])
    assert read_lines(tmp_path / taken.file) == ["v a b", "u a b c d e f"]
    assert {count.what: count.ours for count in taken.counts} == {
        "items": 6, "users": 2, "interactions": 8, "of these in train": 6, "dev items": 1, "test items": 1,
    }  # fmt: skip
    assert "1 of 9 events stand twice" in taken.notes[0]
    read = load_sequences(tmp_path / taken.file, tuple("abcdef"))
    assert read.parts.tolist() == [0, 0, 0, 0, 0, 0, 1, 2]


def test_ids_with_white_space_are_written_as_json(tmp_path: Path):
    taken = write(tmp_path, [("the user", "an item", 1.0), ("the user", "b", 2.0)])
    assert load_sequences(tmp_path / taken.file, ("an item", "b")).users == ("the user",)


def test_a_split_by_time_is_one_moment_for_all_users(tmp_path: Path):
    """Of ten events at 0 to 9, eight come before dev and nine before test, whoever's they are."""
    events = [
        (user, item, float(time)) for time, (user, item) in enumerate(zip("uvuvuvuvuw", "abcdefghij", strict=True))
    ]
    taken = write(tmp_path, events, split_by="time", cuts=(0.6, 0.8))
    assert [json.loads(line) for line in read_lines(tmp_path / taken.file)] == [
        {"user": "u", "train": ["a", "c", "e"], "dev": ["g"], "test": ["i"]},
        {"user": "v", "train": ["b", "d", "f"], "dev": ["h"], "test": []},
        {"user": "w", "train": [], "dev": [], "test": ["j"]},
    ]
    read = load_sequences(tmp_path / taken.file, tuple("abcdefghij"))
    assert read.parts.tolist() == [0, 0, 0, 1, 2, 0, 0, 0, 1, 2]
    questions = asked_of(read, "test", tuple("abcdefghij"))
    assert (questions.asked, questions.relevant) == ((["a", "c", "e", "g"],), ({"i": 1.0},)), "w has nothing before it"
    assert {c.what: c.ours for c in taken.counts}["test items"] == 2


def test_several_held_out_items_of_a_user_are_kept_in_a_run(tmp_path: Path):
    events = [("u", item, float(time)) for time, item in enumerate("abcdefgh")]
    taken = write(tmp_path, events, split_by="time", cuts=(0.4, 0.7))
    read = load_sequences(tmp_path / taken.file, tuple("abcdefgh"))
    assert [PARTS[part] for part in read.parts.tolist()] == ["train"] * 3 + ["dev"] * 2 + ["test"] * 3
    save_sequences(read, tuple("abcdefgh"), tmp_path / "run.jsonl")
    again = load_taught(tmp_path / "run.jsonl", tuple("abcdefgh"))
    assert again.parts.tolist() == read.parts.tolist()
    assert again.rows.tolist() == read.rows.tolist()
    questions = asked_of(again, "test", tuple("abcdefgh"))
    assert [(history, list(answer)) for history, answer in zip(questions.asked, questions.relevant, strict=True)] == [
        (list("abcde"), ["f"]), (list("abcdef"), ["g"]), (list("abcdefg"), ["h"]),
    ]  # fmt: skip


def test_items_that_the_corpus_lacks_leave_parted_sequences(tmp_path: Path):
    record = {"user": "u", "train": ["a", "x", "b"], "dev": ["y", "c"], "test": ["d"]}
    (tmp_path / "parted.jsonl").write_text(json.dumps(record) + "\n")
    read = load_sequences(tmp_path / "parted.jsonl", tuple("abcd"))
    assert read.parts.tolist() == [0, 0, 1, 2]
    with pytest.raises(InputError, match=r"3 of 6 items .* would be left out|4 of 6 items"):
        load_sequences(tmp_path / "parted.jsonl", ("a", "d"))
    (tmp_path / "parted.jsonl").write_text('{"user": "u", "train": "a b"}\n')
    with pytest.raises(InputError, match=r"line 1: 'train' is no list; give ids in brackets"):
        load_sequences(tmp_path / "parted.jsonl", tuple("ab"))


@pytest.mark.parametrize(
    ("history", "cause"),
    [
        ({"core": 3}, "of 8 events none is left.*lower --core"),
        ({"core": -1}, "it cannot be -1"),
        ({"cuts": (0.9, 0.8)}, "two rising shares between 0 and 1"),
        ({"split_by": "time", "cuts": (0.98, 0.99)}, "some of train, dev, test would be empty"),
    ],
)
def test_what_leaves_nothing_is_refused(history: dict[str, Any], cause: str, tmp_path: Path):
    with pytest.raises(InputError, match=cause):
        write(tmp_path, EVENTS, **history)
