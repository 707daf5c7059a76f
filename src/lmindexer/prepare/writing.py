"""Prepared files are written as their records come: packed JSONL, and a BEIR folder."""

import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

from lmindexer.files import json_text

Write = Callable[[dict[str, Any]], None]


@contextmanager
def packed(path: Path) -> Iterator[TextIO]:
    """A gzip file of text that has the same bytes whenever it is written: no time and no name is in it.

    Half a surrogate pair, which JSON can write and UTF-8 cannot, stays the escape that it was.
    """
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as file,
        io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="\n") as text,
    ):
        yield text


@contextmanager
def json_lines(path: Path) -> Iterator[Write]:
    """Writes one record a line."""
    with packed(path) as file:
        yield lambda record: _write(file, record)


class BeirFolder:
    """corpus.jsonl.gz, queries.jsonl.gz and qrels/<split>.tsv, written as documents, queries and labels come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = 0
        self.queries: Counter[str] = Counter()  # by split, those that have labels
        self.labels: Counter[str] = Counter()  # by split
        self._stack = ExitStack()
        self._qrels: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        (self.folder / "qrels").mkdir()
        self._corpus = self._stack.enter_context(packed(self.folder / "corpus.jsonl.gz"))
        self._queries = self._stack.enter_context(packed(self.folder / "queries.jsonl.gz"))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def document(self, record: dict[str, Any]) -> None:
        """A record with `_id` or `id`, usually `title` and `text`, and what else there is."""
        self.documents += 1
        _write(self._corpus, record)

    def query(self, query_id: str, text: str) -> None:
        """A query, which is in the splits where it has labels."""
        _write(self._queries, {"_id": query_id, "text": text})

    def label(self, split: str, query_id: str, grades: dict[str, float]) -> None:
        """The grades of the documents that were judged for a query; called once for each query of a split."""
        if split not in self._qrels:
            path = self.folder / "qrels" / f"{split}.tsv"
            self._qrels[split] = self._stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            self._qrels[split].write("query-id\tcorpus-id\tscore\n")
        self.queries[split] += 1
        self.labels[split] += len(grades)
        for doc_id, grade in grades.items():
            self._qrels[split].write(f"{query_id}\t{doc_id}\t{int(grade) if grade == int(grade) else grade}\n")


def _write(file: TextIO, record: dict[str, Any]) -> None:
    file.write(json_text(record, ensure_ascii=False, default=str) + "\n")
