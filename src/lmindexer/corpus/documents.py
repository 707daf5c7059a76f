"""Document and Corpus: files come in, rows go out.

A corpus may be larger than memory: documents go to a temporary Arrow file as they are read, which
is then memory-mapped. Only the ids live in Python, to find duplicates.
"""

import errno
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from lmindexer.corpus.document import LONE_SURROGATE, Document, checked_text, clean
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.files import Paths, are_paths
from lmindexer.corpus.memory import Records, records_of
from lmindexer.corpus.reading import Reading
from lmindexer.corpus.records import RecordError
from lmindexer.errors import InputError, excerpt

__all__ = ["Corpus", "Document"]

_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.list_(pa.string()))])
_BATCH_DOCUMENTS = 8192
_BATCH_CHARACTERS = 2**24  # a batch of long texts is written sooner


class Corpus:
    """Documents by row. Make one with `Corpus.of` or `Corpus.from_documents`."""

    def __init__(
        self,
        table: pa.Table,
        skipped_reasons: Mapping[str, int],
        fields: Fields | None = None,
        notes: Sequence[str] = (),
        records: int | None = None,
        record_of: Sequence[int] = (),
    ) -> None:
        self._table = table
        self.skipped_reasons = dict(skipped_reasons)
        self.fields = fields  # the columns it was read from; None of documents made in Python
        self.notes = tuple(notes)  # what a user should know of how it was read
        self.records = len(table) if records is None else records  # in the files, sound or not
        self.record_of = range(len(table)) if records is None else record_of  # (N,): which of them each document is

    @classmethod
    def read(
        cls,
        paths: Paths | Records,
        *,
        text: str | Sequence[str] = (),
        id: str = "",
        label: str = "",
        like: Fields | None = None,
        skip_bad: bool = False,
        keep_empty: bool = False,
        keep_markup: bool = False,
        keep_going: bool = False,
        textless: bool = False,
    ) -> "Corpus":
        """Read JSONL, CSV, TSV or Parquet files, or folders of them.

        `text` names the columns to join, `id` and `label` one column each; unnamed, they are those of `like` (the
        `fields` of another corpus), else id and text come from the usual names present. All records of all files
        are looked at to decide it. With `skip_bad`, bad records are counted and left out, at most half of them
        unless `keep_going`; with `keep_empty`, a record without text is a document with an empty one; with
        `keep_markup`, HTML tags and entities stay; `textless` documents need neither text nor a column of it.
        """
        text = (text,) if isinstance(text, str) else text
        reading = Reading(
            paths, id=id, text=text, label=label, like=like,
            skip_bad=skip_bad, keep_empty=keep_empty, keep_markup=keep_markup, keep_going=keep_going,
            textless=textless,
        )  # fmt: skip
        table = _store(reading.documents())
        return cls(table, reading.skipped, reading.fields, reading.notes, reading.records, reading.record_of)

    @classmethod
    def of(
        cls,
        data: object,
        *,
        id: str = "",
        text: str | Sequence[str] = (),
        label: str = "",
        like: Fields | None = None,
        skip_bad: bool = False,
        keep_empty: bool = False,
        keep_markup: bool = False,
        keep_going: bool = False,
        textless: bool = False,
    ) -> "Corpus":
        """Documents of a data frame (pandas, polars), an Arrow table, a Hugging Face data set, a list of dicts,
        {id: text}, {id: record}, or files.

        Columns are chosen, and cells, labels and bad records treated, as `read` does it with files; a record is named
        by its row, counted from 0.
        """
        return cls.read(
            data if are_paths(data) else records_of(data), id=id, text=text, label=label, like=like,
            skip_bad=skip_bad, keep_empty=keep_empty, keep_markup=keep_markup, keep_going=keep_going,
            textless=textless,
        )  # fmt: skip

    @classmethod
    def from_documents(cls, documents: Iterable[Document], *, keep_empty: bool = False) -> "Corpus":
        table = _store(_checked(documents, keep_empty))
        if not len(table):
            raise InputError("a corpus needs at least one document")
        return cls(table, {})

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, row: int) -> Document:
        id, text, label = (column[row].as_py() for column in self._table.columns)
        return Document(id, text, tuple(label))

    def __iter__(self) -> Iterator[Document]:
        for batch in self._table.to_batches():
            for record in batch.to_pylist():
                yield Document(record["id"], record["text"], tuple(record["label"]))

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents, {self.skipped:,} skipped)"

    @cached_property
    def doc_ids(self) -> tuple[str, ...]:
        return tuple(self._table["id"].to_pylist())

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.doc_ids)}

    @cached_property
    def labels(self) -> list[tuple[str, ...]] | None:
        """A path for every row; None where no document has one."""
        labels = [tuple(label) for label in self._table["label"].to_pylist()]
        return labels if any(labels) else None

    def texts(self, rows: Iterable[int] | None = None) -> list[str]:
        column = self._table["text"]
        if rows is None:
            return column.to_pylist()
        return [column[int(row)].as_py() for row in rows]

    def text_batches(self, size: int) -> Iterator[list[str]]:
        """All texts in row order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self._table["text"].slice(start, size).to_pylist()

    @property
    def skipped(self) -> int:
        return sum(self.skipped_reasons.values())

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same ids and texts in the same order, whatever file they came from."""
        digest = hashlib.blake2b(digest_size=16)
        for document in self:
            for part in (document.id.encode(), document.text.encode()):
                digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()


def _checked(documents: Iterable[Document], keep_empty: bool) -> Iterator[Document]:
    seen: dict[str, int] = {}
    for row, document in enumerate(documents):
        if not isinstance(document, Document):
            raise InputError(
                f"a corpus is made of Documents, not of {excerpt(document)}; give Document(id, text) for each"
            )
        if (first := seen.setdefault(document.id, row)) != row:
            raise InputError(f"documents {first} and {row} share the id {excerpt(document.id)}; rename one")
        if LONE_SURROGATE.search(document.id):
            raise InputError(f"document {row} ({excerpt(document.id)}): its id holds a lone surrogate; rename it")
        try:
            text = checked_text([document.text], f"document {excerpt(document.id)}", keep_empty)
        except RecordError as fault:
            raise InputError(f"document {row} ({excerpt(document.id)}): {fault}") from None
        label = (document.label,) if isinstance(document.label, str) else document.label  # a path of one level
        yield Document(document.id, text, tuple(map(clean, label)))


def _store(documents: Iterable[Document]) -> pa.Table:
    """All documents in a temporary file, mapped; the file has no name any more and goes with the table."""
    with tempfile.TemporaryDirectory(prefix="lmindexer-", ignore_cleanup_errors=True) as folder:
        path = str(Path(folder) / "documents.arrow")
        try:
            with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
                for batch in _batches(documents):
                    ids, texts, labels = zip(*((d.id, d.text, d.label) for d in batch), strict=True)
                    writer.write_batch(pa.record_batch([ids, texts, map(list, labels)], schema=_SCHEMA))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise InputError(f"no space left in {folder}; point TMPDIR to a larger disk") from error
        return pa.ipc.open_file(pa.memory_map(path)).read_all()


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) == _BATCH_DOCUMENTS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
