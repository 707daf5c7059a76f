"""Queries made for documents, to train on: by simple ways, by a model, or from a column of one's own data.

The paper trains retrieval also on pseudo-queries (its appendix, after NCI: docT5query); DSI on the text itself.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.corpus.document import clean
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.files import find_files, reader_of
from lmindexer.corpus.readers import RecordError
from lmindexer.errors import InputError
from lmindexer.files import json_text, write_atomically
from lmindexer.questions.query_ways import WAYS, Weigher

CHUNK = 1024  # documents read at a time


@dataclass(frozen=True)
class PseudoQuery:
    """A query to which `doc_id` is the answer; `source` is how it came about: a way, 'model' or 'column'."""

    doc_id: str
    text: str
    source: str


def pseudo_queries(corpus: Corpus, ways: Sequence[str], per_document: int = 3, seed: int = 0) -> list[PseudoQuery]:
    """At most `per_document` queries of each of `ways` (names in WAYS), way after way, in row order.

    A document draws by (seed, way, its id): its queries depend on the others by the frequencies of words alone.
    Raises InputError for an unknown way.
    """
    check_ways(ways)
    weigh = Weigher(text for batch in corpus.text_batches(CHUNK) for text in batch)
    made: dict[str, list[PseudoQuery]] = {way: [] for way in ways}
    for document in corpus:
        text = weigh(document.text)
        for way, queries in made.items():
            dice = random.Random(f"{seed} {way} {document.id}")
            queries += [PseudoQuery(document.id, query, way) for query in WAYS[way](text, dice, per_document)]
    return [query for queries in made.values() for query in queries]


def check_ways(ways: Sequence[str]) -> None:
    for way in ways:
        if way not in WAYS:
            raise InputError(f"there is no way {way!r} to make queries; the ways are {', '.join(WAYS)}")


@dataclass(frozen=True)
class ColumnQueries:
    queries: list[PseudoQuery]
    notes: tuple[str, ...]  # what was left out


def column_queries(corpus: Corpus, path: Path, column: str, id: str = "") -> ColumnQueries:
    """The queries in `column` of a file or folder of records: a string or a list of strings each.

    A document may have several records; `id` names the column of its id, by default the first usual name. Empty
    strings give none. Raises InputError naming file and line, also when no record is of a document of the corpus.
    """
    known: Collection[str] = corpus.row_of
    queries: dict[PseudoQuery, None] = {}
    unknown: Counter[str] = Counter()
    records = 0
    for doc_id, texts in _column(path, column, id):
        records += 1
        if doc_id in known:
            queries |= {PseudoQuery(doc_id, text, "column"): None for text in texts}
        else:
            unknown[doc_id] += 1
    if records == unknown.total():
        raise InputError(
            f"none of {records:,} records of {path} is of a document of the corpus, whose ids are such as "
            f"{corpus.doc_ids[0]!r}; check that they belong together, or name the column of the id"
        )
    note = f"{unknown.total():,} of {records:,} records of {path} are of unknown documents"
    return ColumnQueries(list(queries), (f"{note} (the first: {next(iter(unknown))!r})",) if unknown else ())


def _column(path: Path, column: str, id: str) -> Iterator[tuple[str, list[str]]]:
    """A document's id and its queries, record after record."""
    for file in find_files(path):
        reader = reader_of(file)
        survey = reader.survey(file)
        if not survey.columns:
            raise InputError(f"there are no records in {file}; give at least one")
        fields = Fields.choose(file, survey.columns, id=id, text=(column,), label="")
        for number, record in reader.records(file, fields.names):
            try:
                if isinstance(record, RecordError):
                    raise record
                yield fields.id_of(record), _texts(record.get(column), column)
            except RecordError as fault:
                raise InputError(f"{file}, {survey.unit} {number}: {fault}") from None


def _texts(value: Any, column: str) -> list[str]:
    if value is None or value != value:  # Parquet writes a missing value as NaN
        return []
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise RecordError("not text", f"{column!r} is neither a string nor a list of strings; name a column that is")
    return [text for text in map(clean, texts) if text]


def write_pseudo_queries(path: Path, queries: Sequence[PseudoQuery]) -> None:
    """As JSONL that `load_queries` reads: id, query, item_ids and source. The file appears whole or not at all."""

    def write(temporary: Path) -> None:
        numbers: Counter[tuple[str, str]] = Counter()
        with temporary.open("w", encoding="utf-8") as file:
            for query in queries:
                key = (query.doc_id, query.source)
                line = {
                    "id": f"{query.doc_id}-{query.source}-{numbers[key]}",
                    "query": query.text,
                    "item_ids": [query.doc_id],
                    "source": query.source,
                }
                numbers[key] += 1
                file.write(json_text(line, ensure_ascii=False) + "\n")

    write_atomically(path, write)
