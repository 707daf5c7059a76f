"""Queries and the documents relevant to them: a BEIR folder, two files, or one JSONL file of both."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.corpus.document import clean
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.files import find_files, reader_of
from lmindexer.corpus.readers import READERS, Record, RecordError
from lmindexer.errors import InputError
from lmindexer.evaluation.trec import read_qrels
from lmindexer.files import write_text

ID_NAMES = ("_id", "id")
TEXT_NAMES = ("query", "text")
DOCUMENT_NAMES = ("item_ids", "doc_ids")
LARGEST = 1e9  # grade


@dataclass(frozen=True)
class Queries:
    """Q queries; to each at least one document of the corpus is relevant."""

    query_ids: tuple[str, ...]  # Q
    texts: tuple[str, ...]  # Q
    relevant: tuple[dict[str, float], ...]  # Q: document id -> grade, above 0
    notes: tuple[str, ...] = ()  # what was left out

    def __len__(self) -> int:
        return len(self.query_ids)

    def select(self, places: Iterable[int]) -> "Queries":
        """Some of them, in this order."""
        chosen = list(places)
        query_ids, texts = tuple(self.query_ids[n] for n in chosen), tuple(self.texts[n] for n in chosen)
        return Queries(query_ids, texts, tuple(self.relevant[n] for n in chosen), self.notes)


def load_queries(
    queries: Path, qrels: Path | None, split: str, doc_ids: Iterable[str], sources: Sequence[str] = ()
) -> Queries:
    """The queries of `split` that documents of the corpus (`doc_ids`) answer, in the order of the file.

    - a BEIR folder: queries.jsonl or .jsonl.gz, and qrels/<split>.tsv unless `qrels` says otherwise;
    - JSONL of `_id` or `id` and `text` or `query`, beside `qrels`: a file, or a folder with <split>.tsv;
    - without `qrels`, JSONL of `query` or `text`, `item_ids` or `doc_ids`, and where there `_id` or `id` (else
      the line's number), `grades` (as many as documents; else 1), `split` (others are passed over) and `source`
      (of pseudo-queries; with `sources`, others are passed over).

    Unknown documents and queries without a relevant one are left out and told in `notes`. Raises InputError
    that names file and line, also for an empty query and when no query is left.
    """
    if queries.is_dir():
        qrels = qrels or queries / "qrels"
        if not qrels.exists():
            raise InputError(f"{queries} is not a BEIR folder: there is no {qrels}; name the file of judgements, too")
        plain = queries / "queries.jsonl"
        queries = plain if plain.exists() else queries / "queries.jsonl.gz"
    if qrels is None:
        return _kept(queries, list(_with_documents(queries, split, sources)), set(doc_ids), [])
    if qrels.is_dir():
        qrels = _of_split(qrels, split)
    judgements = read_qrels(qrels)
    found = list(_with_judgements(queries, judgements))
    there = {query_id for query_id, _, _ in found}
    missing = [query_id for query_id in judgements if query_id not in there]
    notes = []
    if missing:
        notes.append(f"{len(missing):,} queries of {qrels} are not in {queries} (the first: {missing[0]!r})")
    return _kept(queries, found, set(doc_ids), notes)


Found = tuple[str, str, dict[str, float]]  # id, text, document -> grade


def _with_judgements(path: Path, judgements: dict[str, dict[str, float]]) -> Iterator[Found]:
    """The queries that have any; the others are of other splits."""
    for where, id, record in _records(path, numbered=False):
        if id in judgements:
            yield id, _text(record, where), judgements[id]


def _with_documents(path: Path, split: str, sources: Sequence[str]) -> Iterator[Found]:
    """The queries of `split` and of none; with `sources`, of these alone."""
    splits: set[str] = set()
    marks: set[str] = set()
    for where, id, record in _records(path, numbered=True):
        splits.add(its_split := str(record.get("split", split)))
        marks.add(mark := str(record.get("source", "")))
        if its_split == split and (not sources or mark in sources):
            yield id, _text(record, where), _documents(record, where)
    if split not in splits and splits:
        raise InputError(f"{path} has no split {split!r}, only {', '.join(map(repr, sorted(splits)))}; name one")
    if missing := set(sources) - marks:
        there = ", ".join(map(repr, sorted(marks - {""}))) or "none"
        raise InputError(f"{path} has no queries of the source {min(missing)!r}; the sources there are {there}")


def splits_of(queries: Path, qrels: Path | None) -> set[str]:
    """The splits that `load_queries` can be asked for; none where the queries are not parted.

    Raises InputError for a file in which some queries have a split and others none.
    """
    if queries.is_dir() or (qrels is not None and qrels.is_dir()):
        return {path.stem for path in (qrels or queries / "qrels").glob("*.tsv")}
    if qrels is not None:
        return set()
    splits = {str(record["split"]) if "split" in record else None for _, _, record in _records(queries, numbered=True)}
    if None in splits and len(splits) > 1:
        raise InputError(f"in {queries} some queries have no 'split', and would be in all of them; give each its own")
    return {split for split in splits if split is not None}


def save_queries(path: Path, splits: Mapping[str, Queries]) -> None:
    """All splits as one JSONL file that `load_queries` reads without qrels."""
    lines = []
    for split, queries in splits.items():
        for id, text, grades in zip(queries.query_ids, queries.texts, queries.relevant, strict=True):
            told: dict[str, Any] = {"split": split, "_id": f"{split}/{id}", "text": text}
            told |= {"item_ids": list(grades), "grades": list(grades.values())}
            lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))


def _kept(path: Path, found: list[Found], known: set[str], notes: list[str]) -> Queries:
    """Those to which a document of the corpus is relevant."""
    if not found:
        raise InputError(f"there is no query of this split in {path}; check that the files belong together")
    relevant = [{doc_id: grade for doc_id, grade in grades.items() if grade > 0} for _, _, grades in found]
    unknown = [doc_id for grades in relevant for doc_id in grades if doc_id not in known]
    relevant = [{doc_id: grade for doc_id, grade in grades.items() if doc_id in known} for grades in relevant]
    if unknown:
        judged = sum(map(len, relevant)) + len(unknown)
        notes.append(
            f"{len(unknown):,} of {judged:,} relevant documents are not in the corpus (the first: {unknown[0]!r})"
        )
    kept = [(id, text, grades) for (id, text, _), grades in zip(found, relevant, strict=True) if grades]
    if not kept:
        told = f"; of the corpus is, for example, {min(known)!r}" if known else ""
        raise InputError(
            f"to none of {len(found):,} queries of {path} is any document of the corpus relevant"
            f" ({'; '.join(notes) or 'no grade is above 0'}{told}); check that they belong together"
        )
    if len(kept) < len(found):
        first = next(id for (id, _, _), grades in zip(found, relevant, strict=True) if not grades)
        notes.append(
            f"{len(found) - len(kept):,} of {len(found):,} queries have no relevant document in the corpus "
            f"and are left out (the first: {first!r})"
        )
    query_ids, texts, grades_of = zip(*kept, strict=True)
    return Queries(query_ids, texts, grades_of, tuple(notes))


def _records(path: Path, numbered: bool) -> Iterator[tuple[str, str, Record]]:
    """Where a record stands, its id, and the record; if `numbered`, one without id has its line's number for it."""
    (path,) = find_files(path)
    if reader_of(path) is not READERS[".jsonl"]:
        raise InputError(f"{path} is not JSONL; write queries as one JSON object a line, in a file named .jsonl")
    seen: dict[str, str] = {}
    for number, record in READERS[".jsonl"].records(path, ()):
        where = f"{path}, line {number}"
        try:
            if isinstance(record, RecordError):
                raise record
            name = next((name for name in ID_NAMES if name in record), ID_NAMES[0])
            id = str(number) if numbered and name not in record else Fields(name, (), "").id_of(record)
        except RecordError as fault:
            raise InputError(f"{where}: {fault}") from None
        if seen.setdefault(id, where) != where:
            raise InputError(f"{where}: the id {id!r} was already in {seen[id]}; rename one")
        yield where, id, record


def _text(record: Record, where: str) -> str:
    text = next((record[name] for name in TEXT_NAMES if record.get(name) is not None), None)
    if text is None:
        raise InputError(f"{where}: there is no query; give it as text in 'query' or 'text'")
    if not isinstance(text, str) or not clean(text):
        raise InputError(f"{where}: the query is empty; give it at least one word in 'query' or 'text'")
    return clean(text)


def _documents(record: Record, where: str) -> dict[str, float]:
    """Document -> grade of a record that holds both."""
    doc_ids = next((record[name] for name in DOCUMENT_NAMES if name in record), None)
    if not isinstance(doc_ids, list) or not all(type(each) in (str, int) for each in doc_ids):
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


def _of_split(folder: Path, split: str) -> Path:
    path = folder / f"{split}.tsv"
    if not path.exists():
        there = ", ".join(repr(each.stem) for each in sorted(folder.glob("*.tsv"))) or "none"
        raise InputError(f"{folder} has no {split}.tsv; the splits there are {there}")
    return path
