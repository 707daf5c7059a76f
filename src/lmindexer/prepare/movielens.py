"""MovieLens in its three forms: u.data and u.item, ratings.dat and movies.dat, ratings.csv and movies.csv."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmindexer.corpus.readers import READERS
from lmindexer.corpus.records import sound_records
from lmindexer.corpus.streams import lines
from lmindexer.errors import InputError
from lmindexer.prepare.prepared import Prepared
from lmindexer.prepare.raw_files import find, matching, missing
from lmindexer.prepare.recommendation import History, commands, write_history, write_items
from lmindexer.progress import Progress
from lmindexer.questions.interactions import read_events

PAIRS = (("ratings.csv", "movies.csv"), ("ratings.dat", "movies.dat"), ("u.data", "u.item"))
TEXTS = ("title",)
GENRES = (  # in the order of the marks in u.item
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
BEFORE_GENRES = 5  # fields of u.item: id, title, two dates, an address


def prepare(raw: Path, folder: Path, progress: Progress, name: str = "", **history: Any) -> Prepared:
    """Movies with title and genres, and what users rated, whatever they thought of it."""
    raw = raw / name
    present = [(ratings, movies) for ratings, movies in PAIRS if matching(raw, ratings)]
    if not present:
        raise missing(raw, [ratings for ratings, _ in PAIRS])
    if len(present) > 1:
        found = " and ".join(ratings for ratings, _ in present)
        raise InputError(f"{raw} has {found}, which are several sets; name the folder of one of them with --name")
    ratings, movies = (find(raw, name) for name in present[0])
    taken = write_history(read_events(ratings), History(**history), folder, progress)
    items = write_items(_movies(movies), taken.events, TEXTS, folder, progress)
    return Prepared(
        sources=(ratings, movies),
        counts=taken.counts,
        rules=("every rating counts as taken, whatever its stars", *taken.rules),
        commands=commands(taken.file, TEXTS, "genres", items.keep_empty, "movies"),
        notes=taken.notes + items.notes,
    )


def _movies(path: Path) -> Iterator[dict[str, Any]]:
    """Id, title and genres; of several genres the first is the label, so each is a path of its own."""
    found = _of_table(path) if ".csv" in path.name else _of_lines(path)
    for id, title, genres in found:
        yield {"id": id, "title": title, "genres": [[genre] for genre in genres]}


def _of_table(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for number, record in sound_records(path, "line", READERS[".csv"]):
        if not {"movieId", "title", "genres"} <= record.keys():
            raise InputError(f"{path}, line {number}: its columns are not movieId, title and genres; fetch it again")
        genres = record["genres"].split("|")
        yield record["movieId"].strip(), record["title"], [] if "(no genres listed)" in genres else genres


def _of_lines(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """movies.dat, parted by '::', and u.item, parted by '|' with a mark for each genre."""
    for number, line in enumerate(lines(path), 1):
        text = _decoded(line).rstrip("\r\n")
        fields = text.split("::" if "::" in text else "|")
        if not text.strip():
            continue
        if len(fields) == 3:
            yield fields[0].strip(), fields[1], [genre for genre in fields[2].split("|") if genre]
        elif len(fields) == BEFORE_GENRES + len(GENRES):
            marks = zip(GENRES, fields[BEFORE_GENRES:], strict=True)
            yield fields[0].strip(), fields[1], [genre for genre, mark in marks if mark == "1"]
        else:
            raise InputError(
                f"{path}, line {number}: it has {len(fields)} fields, not 3 parted by '::' or "
                f"{BEFORE_GENRES + len(GENRES)} parted by '|'; the file may be cut off, so fetch it again"
            )


def _decoded(line: bytes) -> str:
    """UTF-8, or Latin-1 as in the sets of 1998 and 2003."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
