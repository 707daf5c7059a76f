"""MovieLens in its three forms and RecBole's atomic files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmindexer.errors import InputError
from lmindexer.prepare.preparing import prepare
from lmindexer.progress import Progress
from raw_sets import put, read_lines, write_ml_1m, write_ml_100k, write_ml_latest, write_recbole

QUIET = Progress(None)
GENRES = [["Animation"], ["Children's"], ["Comedy"]]
FORMS = {
    "ml-1m": (write_ml_1m, {"id": "2", "title": "Café mast rope (1995)", "genres": GENRES}),
    "ml-100k": (write_ml_100k, {"id": "2", "title": "Café mast rope (1995)", "genres": [["Animation"], ["Comedy"]]}),
    "latest": (
        write_ml_latest,
        {"id": "2", "title": "Café mast rope, The (1995)", "genres": [["Animation"], ["Comedy"]]},
    ),
}


def items_in(out: Path) -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in map(json.loads, read_lines(out / "items.jsonl.gz"))}


def sequences_in(out: Path) -> list[list[str]]:
    return [line.split() for line in read_lines(out / "sequences.txt.gz")]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_movielens_says_the_same(form: str, tmp_path: Path):
    write, movie = FORMS[form]
    write(tmp_path / "raw")
    prepared = prepare("movielens", tmp_path / "raw", tmp_path / "out", {}, QUIET)
    assert sequences_in(tmp_path / "out") == [[str(user), *"654321"] for user in range(1, 7)]
    items = items_in(tmp_path / "out")
    assert items["2"] == movie
    assert items["6"]["genres"] == ([] if form == "latest" else movie["genres"])
    assert sorted(items) == list("123456"), "a movie that nobody rated is left out"
    assert "--text title --label genres" in prepared.commands[0]


def test_several_sets_in_one_folder_are_told_apart_by_name(tmp_path: Path):
    write_ml_1m(tmp_path / "raw" / "ml-1m")
    write_ml_100k(tmp_path / "raw" / "ml-100k")
    with pytest.raises(InputError, match=r"has ratings.dat and u.data, which are several sets; name the folder of one"):
        prepare("movielens", tmp_path / "raw", tmp_path / "out", {}, QUIET)
    prepared = prepare("movielens", tmp_path / "raw", tmp_path / "out", {"name": "ml-100k"}, QUIET)
    assert [source.name for source in prepared.sources] == ["u.data", "u.item"]


def short_line(raw: Path) -> None:
    with (write_ml_1m(raw) / "movies.dat").open("a") as file:
        file.write("8::Half a li")


def no_title(raw: Path) -> None:
    put(write_ml_latest(raw) / "movies.csv", "movieId,name\n1,a\n")


def no_movies(raw: Path) -> None:
    (write_ml_1m(raw) / "movies.dat").unlink()


def half_event(raw: Path) -> None:
    put(write_ml_1m(raw) / "ratings.dat", "1::2::5::978300000\n1::2::5\n")


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (short_line, "movies.dat, line 8: it has 2 fields, not 3 parted by '::'"),
        (no_title, "movies.csv, line 2: its columns are not movieId, title and genres"),
        (no_movies, r"has no movies.dat .*: in it are ratings.dat"),
        (half_event, "ratings.dat, line 2: this is no user, item, rating and time"),
    ],
)
def test_other_files_of_movielens_are_refused(spoil: Callable[[Path], None], cause: str, tmp_path: Path):
    spoil(tmp_path / "raw")
    with pytest.raises(InputError, match=cause):
        prepare("movielens", tmp_path / "raw", tmp_path / "out", {}, QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_recbole_headers_have_types(tmp_path: Path):
    write_recbole(tmp_path / "raw")
    prepared = prepare("recbole", tmp_path / "raw", tmp_path / "out", {}, QUIET)
    assert sequences_in(tmp_path / "out")[0] == ["u1", "i6", "i5", "i4", "i3", "i2", "i1"]
    items = items_in(tmp_path / "out")
    assert items["i2"] == {"id": "i2", "title": "mast rope", "categories": "'Beauty', 'Nails'", "price": "2.5"}
    assert items["i6"] == {"id": "i6", "title": ""}
    assert "--text title --label categories --keep-empty --out runs/toy" in prepared.commands[0]


def test_recbole_without_times_goes_by_the_file(tmp_path: Path):
    write_recbole(tmp_path / "raw")
    put(tmp_path / "raw" / "toy.inter", "user_id:token\titem_id:token\nu\ti3\nu\ti1\nu\ti2\n")
    prepared = prepare("recbole", tmp_path / "raw", tmp_path / "out", {}, QUIET)
    assert sequences_in(tmp_path / "out") == [["u", "i3", "i1", "i2"]]
    assert "has no column of times" in prepared.notes[0]


def test_recbole_files_that_do_not_serve_are_refused(tmp_path: Path):
    raw = write_recbole(tmp_path / "raw")
    put(raw / "more.inter", "user_id:token\titem_id:token\n")
    with pytest.raises(InputError, match=r"has several .inter files; choose one with --name \(more, toy\)"):
        prepare("recbole", raw, tmp_path / "out", {}, QUIET)
    put(raw / "toy.item", "item_id:token\tprice:float\ni1\t3\n")
    with pytest.raises(InputError, match=r"toy.item has no column item_id, or none of title, "):
        prepare("recbole", raw, tmp_path / "out", {"name": "toy"}, QUIET)
    put(raw / "toy.item", "item_id:token\ttitle:token_seq\n\tx\n")
    with pytest.raises(InputError, match=r"toy.item, line 2: there is no id in 'item_id'"):
        prepare("recbole", raw, tmp_path / "out", {"name": "toy"}, QUIET)
    (raw / "toy.item").unlink()
    with pytest.raises(InputError, match=r"has no toy.item .*: in it are more.inter, toy.inter"):
        prepare("recbole", raw, tmp_path / "out", {"name": "toy"}, QUIET)
