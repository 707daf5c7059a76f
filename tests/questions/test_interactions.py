"""Logs of what users took, in the forms that data sets have: the same users, items and order, or one true sentence."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmindexer.errors import InputError
from lmindexer.questions.interactions import read_interactions
from lmindexer.questions.sequence_files import load_sequences

TAKEN = {"u1": ["1", "2", "3"], "u2": ["5"]}
EVENTS = [("u1", "3", 30), ("u1", "1", 10), ("u1", "2", 20), ("u2", "5", 1)]


def rows(mark: str, *header: str, times: str = "{}") -> str:
    lines = [mark.join(header)] if header else []
    return "\n".join(lines + [mark.join([user, item, "4", times.format(time)]) for user, item, time in EVENTS]) + "\n"


def json_lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def of_events(user: str, item: str, time: str, unit: int = 1) -> str:
    return json_lines(*({user: u, item: i, "rating": 5.0, time: t * unit} for u, i, t in EVENTS))


LISTS = {"u1": ["1", "2", "3"], "u2": ["5"]}
FORMS = {
    "lines.txt": "u1 1 2 3\nu2 5\n",
    "cr.txt": "u1 1 2 3\ru2 5\r",
    "bom.txt": "\ufeffu1 1 2 3\r\nu2 5\r\n",
    "header.txt": "user_id item_id_list\nu1 1 2 3\nu2 5\n",
    "pairs.txt": "u1 1\nu1 2\nu2 5\nu1 3\n",
    "ratings.dat": "".join(f"{u}::{i}::5::{978300000 + t}\n" for u, i, t in EVENTS),
    "ratings.txt": "".join(f"{u}::{i}::5::{978300000 + t}\n" for u, i, t in EVENTS),
    "u.data": "".join(f"{u}\t{i}\t5\t{978300000 + t}\n" for u, i, t in EVENTS),
    "toy.inter": rows("\t", "user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    "inter.csv": rows(",", "user", "item", "rating", "timestamp"),
    "inter.tsv": rows("\t", "userId", "movieId", "rating", "timestamp"),
    "dates.csv": rows(",", "user_id", "item_id", "rating", "date", times="2024-05-01T00:00:{:02}Z"),
    "amazon.jsonl": of_events("reviewerID", "asin", "unixReviewTime"),
    "milliseconds.jsonl": of_events("user_id", "parent_asin", "timestamp", 1_588_687_728_926),
    "words.jsonl": json_lines(*({"user": u, "item": i, "time": str(t)} for u, i, t in EVENTS)),
    "array.json": json.dumps([{"user": u, "item": i, "time": t} for u, i, t in EVENTS]),
    "python.json": "".join(f"{ {'user': u, 'item': i, 'time': t} }\n" for u, i, t in EVENTS),
    "mapping.json": json.dumps(LISTS),
    "numbers.jsonl": json_lines({"user": "u1", "items": [1.0, 2, "3"]}, {"user": "u2", "items": [5]}),
    "strings.jsonl": json_lines({"user": "u1", "items": "['1', '2', '3']"}, {"user": "u2", "items": ["5"]}),
    "lists.csv": "user,items\nu1,1 2 3\nu2,['5']\n",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(name: str, packed: bool, tmp_path: Path):
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(FORMS[name].encode()) if packed else FORMS[name].encode())
    assert read_interactions(path).taken == TAKEN


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.float64()])
def test_parquet(kind: pa.DataType, tmp_path: Path):
    users, items, times = zip(*EVENTS, strict=True)
    table = {"user_id": users, "item_id": [float(item) for item in items], "timestamp": pa.array(times).cast(kind)}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert read_interactions(tmp_path / "a.parquet").taken == TAKEN


def test_fractions_of_a_second_are_compared_as_such(tmp_path: Path):
    times = {"c": "10:00:00.5", "a": "10:00:00.25", "b": "10:00:00.499999999", "e": "11:00:00", "d": "12:00:00+02:00"}
    rows = "".join(f"u,{item},2024-05-01 {time}\n" for item, time in times.items())
    (tmp_path / "a.csv").write_text("user,item,date\n" + rows)
    assert read_interactions(tmp_path / "a.csv").taken == {"u": ["d", "a", "b", "c", "e"]}


def test_an_event_that_stands_twice_was_taken_once(tmp_path: Path):
    twice = json_lines(*({"user": u, "item": i, "time": t} for u, i, t in EVENTS for _ in range(2)))
    (tmp_path / "a.jsonl").write_text(twice + json_lines({"user": "u1", "item": "1", "time": 99}))
    found = read_interactions(tmp_path / "a.jsonl")
    assert found.taken == {"u1": ["1", "2", "3", "1"], "u2": ["5"]}  # at another time it was taken again
    assert found.notes == ("4 of 9 events stand twice (one user, item and time) and are left out",)


def test_ties_and_logs_without_times_are_told(tmp_path: Path):
    (tmp_path / "a.csv").write_text("user,item,time\nu,b,1\nu,a,1\nu,c,0\n")
    found = read_interactions(tmp_path / "a.csv")
    assert found.taken == {"u": ["c", "b", "a"]}
    assert "1 of 3 events have the time of another of their user" in found.notes[0]
    (tmp_path / "a.csv").write_text("user,item\nu,b\nu,a\n")
    found = read_interactions(tmp_path / "a.csv")
    assert found.taken == {"u": ["b", "a"]}
    assert "has no column of times" in found.notes[0]


REFUSED = {
    "u_data.txt": (
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        "as MovieLens' u.data; let its name end in .data",
    ),
    "comma.txt": ("1,3,4,5\n2,4,5\n", "line 1: commas part the items"),
    "tab_comma.txt": ("1\t3,4,5\n2\t4,5\n", "line 1: commas part the items"),
    "brackets.txt": ("1 [3, 4]\n", "line 1: items stand in brackets"),
    "table.txt": ("user_id item_id timestamp\n1 2 3\n", "a table with a header; let its name end in .tsv"),
    "half.dat": ("1::2::3\n", "line 1: this is no user, item, rating and time"),
    "noheader.csv": ("1,3,5,881250949\n", "no column of users, such as user, .* put a header in"),
    "noitem.csv": ("user,thing\n1,3\n", "no column of items, such as item, "),
    "lists.json": ("[[3, 4], [4]]", "a JSON list, not an object"),
    "objects.jsonl": (json_lines({"user": 1, "items": [{"id": 3}]}), "line 1: there is no list of ids"),
    "history.jsonl": (json_lines({"user_id": 1, "history": ["3"], "target": "4"}), "line 1: there is no list of ids"),
    "null.jsonl": (json_lines({"user": None, "items": ["3"]}), "line 1: there is no id in 'user'"),
    "time.csv": ("user,item,time\nu,a,1\nu,b,soon\n", "line 3: there is no time in 'time' .'soon'."),
    "surrogate.jsonl": (json_lines({"user": "u\ud83d", "items": ["3"]}), r"line 1: the id 'u\\ud83d' holds half"),
    "array.jsonl": ('[{"user": 1, "item": 2, "time": 3}, {"user": 1}]', "record 2: there is no id in 'item'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_looks_like_a_log_is_refused(name: str, tmp_path: Path):
    content, cause = REFUSED[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=cause) as error:
        read_interactions(tmp_path / name)
    assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_more_than_half_lost_stops(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("u1 a b 3\nu2 a, 4 b\nu3 x y z\n")
    with pytest.raises(InputError, match=r"6 of 9 items of .* would be left out: .*'3'.*--keep-going"):
        load_sequences(path, ["a", "b", "c"])
    assert load_sequences(path, ["a", "b", "c"], keep_going=True).users == ("u1", "u2")
    path.write_text("u1 a b a b a b a b\nu2 x\nu3 y\n")
    with pytest.raises(InputError, match=r"2 of 3 users of .* would be left out"):
        load_sequences(path, ["a", "b"])


def test_taking_the_last_item_again_is_told(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("u1 a b b\nu2 b a a\nu3 a b a\n")
    assert any(
        "2 of 3 users took their last item just before, too" in note for note in load_sequences(path, "ab").notes
    )
    path.write_text("u1 a b a\nu2 b a b\nu3 a b a\n")
    assert load_sequences(path, "ab").notes == ()
