"""The records of files of queries: an id, a text, a split, and the documents that answer it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmindexer.corpus.document import clean
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.files import find_files, reader_of
from lmindexer.corpus.readers import READERS, Record, RecordError
from lmindexer.errors import InputError

ID_NAMES = ("_id", "id")
TEXT_NAMES = ("query", "text")
DOCUMENT_NAMES = ("item_ids", "doc_ids")
SPLITS = ("train", "dev", "test")
DEV_NAMES = ("dev", "val", "valid", "validation")
LARGEST = 1e9  # grade


def split_name(name: str) -> str:
    """The usual name of a split: dev for val, valid and validation, too, whatever the case."""
    plain = name.strip().lower()
    return "dev" if plain in DEV_NAMES else plain if plain in SPLITS else name


def records_in(path: Path, numbered: bool) -> Iterator[tuple[str, str, Record]]:
    """Where a record stands, its id, and the record; if `numbered`, one without id has its line's number for it."""
    (path,) = find_files(path)
    if reader_of(path) is not READERS[".jsonl"]:
        raise InputError(f"{path} is not JSONL; write queries as one JSON object a line, in a file named .jsonl")
    seen: dict[tuple[str | None, str], str] = {}  # an id may be in several splits of a file that has them
    for number, record in READERS[".jsonl"].records(path, ()):
        where = f"{path}, line {number}"
        try:
            if isinstance(record, RecordError):
                raise record
            name = next((name for name in ID_NAMES if name in record), ID_NAMES[0])
            id = str(number) if numbered and name not in record else Fields(name, (), "").id_of(record)
        except RecordError as fault:
            raise InputError(f"{where}: {fault}") from None
        key = (split_in(record) if numbered else None, id)
        if seen.setdefault(key, where) != where:
            raise InputError(f"{where}: the id {id!r} was already in {seen[key]}; rename one")
        yield where, id, record


def split_in(record: Record) -> str | None:
    """None where the record says nothing of a split, or null."""
    return None if record.get("split") is None else split_name(str(record["split"]))


def text_in(record: Record, where: str) -> str:
    text = next((record[name] for name in TEXT_NAMES if record.get(name) is not None), None)
    if text is None:
        raise InputError(f"{where}: there is no query; give it as text in 'query' or 'text'")
    if not isinstance(text, str) or not clean(text):
        raise InputError(f"{where}: the query is empty; give it at least one word in 'query' or 'text'")
    return clean(text)


def documents_in(record: Record, where: str) -> dict[str, float]:
    """Document -> grade of a record that holds both."""
    doc_ids = next((record[name] for name in DOCUMENT_NAMES if name in record), None)
    if not isinstance(doc_ids, list) or not all(type(doc_id) in (str, int) for doc_id in doc_ids):
        raise InputError(f"{where}: there is no list of ids in 'item_ids' or 'doc_ids'; give one, or name the qrels")
    grades = record.get("grades", [1] * len(doc_ids))
    if not isinstance(grades, list) or len(grades) != len(doc_ids) or not all(map(_is_number, grades)):
        raise InputError(f"{where}: 'grades' must be a list of {len(doc_ids)} numbers, one for each document")
    found: dict[str, float] = {}
    for doc_id, grade in zip(doc_ids, grades, strict=True):
        if found.setdefault(str(doc_id).strip(), float(grade)) != grade:
            raise InputError(f"{where}: document {doc_id!r} has two grades; keep one")
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST  # not so for nan


def file_of_split(folder: Path, split: str) -> Path:
    paths = sorted(folder.glob("*.tsv"))
    of_split = [path for path in paths if split_name(path.stem) == split_name(split)]
    if not of_split:
        present = ", ".join(repr(path.stem) for path in paths) or "none"
        raise InputError(f"{folder} has no {split}.tsv; the splits there are {present}")
    if len(of_split) > 1:
        names = " and ".join(path.name for path in of_split)
        raise InputError(f"{folder} has {names}, which are one split; keep one of them")
    return of_split[0]
