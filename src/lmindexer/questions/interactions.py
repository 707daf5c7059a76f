"""Logs of what users took come in: one user a line, or one event a line, in the forms that data sets have.

Events are put in order by time. One that stands twice with the same time was taken once; a log in which each stood
twice would make the next item easy to guess.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.corpus import json_records
from lmindexer.corpus.cells import id_in, id_of
from lmindexer.corpus.fields import usual_names
from lmindexer.corpus.literals import list_in
from lmindexer.corpus.readers import JSON, READERS, TSV, Reader
from lmindexer.corpus.records import Record, RecordError, Survey, sound_records
from lmindexer.corpus.streams import COMPRESSED, lines
from lmindexer.errors import InputError, excerpt
from lmindexer.questions.events import Event, by_user, in_order, time_in
from lmindexer.questions.histories import Histories
from lmindexer.questions.sequences import PARTS, items_and_parts

USER_NAMES = ("user", "user_id", "userid", "reviewerID", "reviewer_id", "uid", "customer_id", "visitorid", "session_id")
ITEMS_NAMES = ("items", "item_ids", "item_id_list")
ITEM_NAMES = (
    *("item", "item_id", "itemid", "parent_asin", "asin", "movieId", "movie_id", "product_id", "productid"),
    *("book_id", "business_id", "doc_id", "iid", "pid"),
)
TIME_NAMES = ("timestamp", "unixReviewTime", "time", "ts", "unix_time", "datetime", "date", "created_at")
KINDS = (".txt", ".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet", ".inter", ".dat", ".data")
MOVIELENS = (".dat", ".data")
UNIX_TIMES = (1e8, 1e14)  # s or ms of any year that a log is of

Words = Iterable[tuple[int, list[str]]]  # line, its words


def read_interactions(path: Path) -> Histories:
    """What users took, users in the order of the file; plain or compressed:

    - .txt: a line `user item item ...` each, parted by white space, oldest first; or `user item` where users repeat;
    - .jsonl, .json, .csv, .tsv, .parquet: a user and a list `items` or `item_ids`, oldest first; or one event
      a record: a user, an item and a time, by the names of USER_NAMES, ITEM_NAMES and TIME_NAMES;
    - .jsonl of a user and lists `train`, `dev` and `test`, parted already (by a moment in time, for example);
    - .inter: RecBole's; .dat and .data: MovieLens', `user::item::rating::time` or parted by tabs.

    Raises InputError that names file and line, also for a user who is there twice with a list.
    """
    kind = _kind_of(path)
    if kind == ".txt":
        found = _of_text(path)
    elif kind in MOVIELENS:
        found = _of_movielens(path, _words(path))
    elif kind == ".inter":
        found = _of_records(path, TSV)
    elif READERS[kind] is JSON and json_records.layout(path) in (json_records.ARRAY, json_records.MAPPING):
        found = _of_json(path)
    else:
        found = _of_records(path, READERS[kind])
    if not found.taken:
        raise InputError(f"{path} is empty; write one user a line: user item item ...")
    return found


@dataclass(frozen=True)
class Log:
    """The events of a file, one by one in its order; a record that is none raises InputError when it is reached."""

    events: Iterator[Event]
    notes: tuple[str, ...] = ()


def read_events(path: Path) -> Log:
    """The events of a file with one of them a record: all forms of `read_interactions` but .txt and lists.

    Raises InputError that names the file where it is of another form.
    """
    kind = _kind_of(path)
    if kind in MOVIELENS:
        return Log(_movielens_events(path, _words(path)))
    if kind == ".txt":
        raise InputError(f"{path} has no times; name a log with one event a record, such as .csv, .jsonl or .inter")
    reader = TSV if kind == ".inter" else READERS[kind]
    survey = reader.survey(path)
    if usual_names(survey.columns, ITEMS_NAMES):
        raise InputError(f"{path} holds lists of items, which have no times; name a log with one event a record")
    return _log_of(path, reader, survey)


def _kind_of(path: Path) -> str:
    """The end of its name, without that of a packing."""
    name = path.name.lower()
    packing = next((suffix for suffix in COMPRESSED if name.endswith(suffix)), "")
    kind = Path(name.removesuffix(packing)).suffix
    if not path.is_file():
        raise InputError(f"{path} is no file; name the one that holds what users took")
    if kind not in KINDS:
        raise InputError(
            f"{path} is of an unknown kind; the name of a file of sequences must end in {', '.join(KINDS)}"
        )
    return kind


# Text


def _of_text(path: Path) -> Histories:
    rows = list(_words(path))
    if not rows:
        return Histories({})
    first = rows[0][1]
    if "::" in first[0]:
        return _of_movielens(path, rows)
    notes: tuple[str, ...] = ()
    lower = [word.lower() for word in first]
    if lower[0] in map(str.lower, USER_NAMES) and len(lower) > 1:
        if len(lower) > 2 or lower[1] not in ITEMS_NAMES:
            raise InputError(f"{path} is a table with a header; let its name end in .tsv (parted by tabs) or .csv")
        notes = (f"the first line of {path} is a header and is left out",)
        rows = rows[1:]
    _check_words(path, rows)
    users = [words[0] for _, words in rows]
    if all(len(words) == 2 for _, words in rows) and len(set(users)) < len(users):
        pairs = f"{path} has two words a line and its users repeat; each line is read as one event, oldest first"
        return Histories(in_order(Event(words[0], words[1], None) for _, words in rows)[0], (*notes, pairs))
    return Histories(by_user(path, "line", ((number, words[0], words[1:]) for number, words in rows)), notes)


def _check_words(path: Path, rows: list[tuple[int, list[str]]]) -> None:
    """Raise InputError for the usual files that only look like `user item item ...`."""
    if not rows:
        return
    number, first = rows[0]
    if len(first) > 1 and first[1].startswith("["):
        raise InputError(f"{path}, line {number}: items stand in brackets; write user item item ..., or JSONL")
    if all(len(words) <= 2 and "," in words[-1] for _, words in rows):
        raise InputError(f"{path}, line {number}: commas part the items; write user item item ... with spaces")
    if all(len(words) == 4 and _is_unixtime_in(words[3]) and _is_rating(words[2]) for _, words in rows):
        raise InputError(
            f"{path} has user, item, rating and time in each line, as MovieLens' u.data; let its name end in .data"
        )


def _of_movielens(path: Path, rows: Words) -> Histories:
    taken, notes = in_order(_movielens_events(path, rows))
    return Histories(taken, notes)


def _movielens_events(path: Path, rows: Words) -> Iterator[Event]:
    for number, words in rows:
        fields = " ".join(words).split("::") if "::" in words[0] else words
        if len(fields) != 4 or not _is_unixtime_in(fields[3]):
            raise InputError(
                f"{path}, line {number}: this is no user, item, rating and time, parted by '::' or tabs; "
                "write a CSV with a header instead"
            )
        yield Event(fields[0].strip(), fields[1].strip(), float(fields[3]))


def _words(path: Path) -> Words:
    for number, line in enumerate(lines(path), 1):
        try:
            words = line.decode("utf-8").split()
        except UnicodeDecodeError:
            advice = "not UTF-8; convert the file, e.g. with iconv -t UTF-8"
            raise InputError(f"{path}, line {number}: {advice}") from None
        if words:
            yield number, words


def _is_unixtime_in(word: str) -> bool:
    return word.isdecimal() and UNIX_TIMES[0] <= float(word[:30]) <= UNIX_TIMES[1]


def _is_rating(word: str) -> bool:
    return word.replace(".", "", 1).isdecimal() and float(word[:30]) <= 10


# Records


def _of_records(path: Path, reader: Reader) -> Histories:
    survey = reader.survey(path)
    columns = survey.columns
    if reader is JSON and PARTS[0] in columns and not usual_names(columns, ITEMS_NAMES):
        return _of_parts(path, survey)
    if usual_names(columns, ITEMS_NAMES) or (reader is JSON and not usual_names(columns, ITEM_NAMES)):
        records = sound_records(path, survey.unit, reader)
        return Histories(by_user(path, survey.unit, _lists(path, survey.unit, records)), survey.notes)
    log = _log_of(path, reader, survey)
    taken, notes = in_order(log.events)
    return Histories(taken, (*log.notes, *notes))


def _of_parts(path: Path, survey: Survey) -> Histories:
    """Of records {"user": ..., "train": [...], "dev": [...], "test": [...]}."""
    parts: dict[str, list[int]] = {}

    def found() -> Iterator[tuple[int, str, list[str]]]:
        for number, record in sound_records(path, survey.unit, JSON):
            where = f"{survey.unit} {number}"
            users = usual_names(record, USER_NAMES)
            user = id_of(record, users[0] if users else USER_NAMES[0], f"{path}, {where}")
            try:
                items, parts_of_items = items_and_parts(record)
            except TypeError as fault:
                raise InputError(f"{path}, {where}: {fault}; give ids in brackets, oldest first") from None
            parts.setdefault(user, parts_of_items)
            yield number, user, _items(path, where, items)

    return Histories(by_user(path, survey.unit, found()), survey.notes, parts=parts)


def _log_of(path: Path, reader: Reader, survey: Survey) -> Log:
    """Of records that are one event each, by their usual names."""
    columns = survey.columns
    users, items = usual_names(columns, USER_NAMES), usual_names(columns, ITEM_NAMES)
    for what, names, usual in (("users", users, USER_NAMES), ("items", items, ITEM_NAMES)):
        if not names and columns and reader is not JSON:
            present = ", ".join(excerpt(name, 30) for name in list(columns)[:8])
            raise InputError(
                f"{path} has no column of {what}, such as {', '.join(usual[:3])}; its columns are {present}; "
                "put a header in if its first line is none"
            )
    times = usual_names(columns, TIME_NAMES)
    names = (users[0] if users else USER_NAMES[0], items[0] if items else ITEM_NAMES[0], times[0] if times else "")
    notes = list(survey.notes)
    if len(items) > 1:
        notes.append(f"items of {path} are taken from {excerpt(items[0])}, not from {excerpt(items[1])}")
    if not times:
        notes.append(f"{path} has no column of times, such as timestamp: its order is taken for that of time")
    records = sound_records(path, survey.unit, reader)
    return Log(_events(path, survey.unit, records, names), tuple(notes))


def _of_json(path: Path) -> Histories:
    """A file {user: [item, ...]}, or one array of records."""
    shape = json_records.layout(path)
    first = next(json_records.values(path, shape), None)
    if first is None or isinstance(first[2], dict):
        return _of_records(path, JSON)
    if first[1] is None:
        raise InputError(f"{path} is a JSON array without users; write one user a line: user item item ...")
    found = (
        (number, str(key), _items(path, f"record {number}", value)) for number, key, value in
        json_records.values(path, shape)
    )  # fmt: skip
    return Histories(by_user(path, "record", found))


def _lists(path: Path, unit: str, records: Iterator[tuple[int, Record]]) -> Iterator[tuple[int, str, list[str]]]:
    for number, record in records:
        where = f"{unit} {number}"
        names = usual_names(record, ITEMS_NAMES)
        items = _items(path, where, record[names[0]] if names else None)
        users = usual_names(record, USER_NAMES)
        yield number, id_of(record, users[0] if users else USER_NAMES[0], f"{path}, {where}"), items


def _items(path: Path, where: str, value: Any) -> list[str]:
    """Ids, from a list, a list written as text, or in a table words parted by spaces."""
    if isinstance(value, str):
        value = list_in(value) if value.strip().startswith("[") else value.split() if " " in value.strip() else None
    try:
        if not isinstance(value, list):
            raise RecordError("no list", "there is none")
        return [id_in(item, "items") for item in value]
    except RecordError as fault:
        if fault.reason == "not Unicode":
            raise InputError(f"{path}, {where}: {fault}") from None
        raise InputError(
            f"{path}, {where}: there is no list of ids in 'items' or 'item_ids'; give what the user took, oldest first"
        ) from None


def _events(
    path: Path, unit: str, records: Iterator[tuple[int, Record]], names: tuple[str, str, str]
) -> Iterator[Event]:
    user, item, time = names
    for number, record in records:
        where = f"{path}, {unit} {number}"
        ids = id_of(record, user, where), id_of(record, item, where)
        when = time_in(record.get(time)) if time else None
        if time and when is None:
            raise InputError(
                f"{where}: there is no time in {excerpt(time)} ({excerpt(record.get(time))}); give a number, such as s "
                "since 1970, or a date such as 2024-05-17"
            )
        yield Event(*ids, when)
