"""A run as it is served: what answers, and what is shown of its documents. It never changes; others take its place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.labels import rows_labelled
from lmindexer.errors import InputError, excerpt
from lmindexer.explore.page import Shown, map_of
from lmindexer.files import json_text
from lmindexer.ids.table import IdTable
from lmindexer.indexers.kept_vectors import keys_of
from lmindexer.indexers.store import documents_and_perhaps_ids
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.known import KNOWN, load_known
from lmindexer.methods.registry import method_of
from lmindexer.methods.retriever import ByParts, Hit, Retriever, rows_of
from lmindexer.questions.questions import HISTORY
from lmindexer.runs import Run
from lmindexer.serving.words import PathWords

LABELS_NAMED = 200  # that the page offers to filter by


@dataclass(frozen=True)
class Question:
    """A text, or a history, and how many documents to find for it."""

    asked: str | tuple[str, ...]
    k: int
    repeats: bool = False  # whether what is in the history is found, too


@dataclass(frozen=True)
class Answer:
    """The hits of a question, and what each score is the sum of, where that was asked for and is known."""

    hits: list[Hit]
    parts: list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Row n of `corpus` and of `ids` is the document n of `retriever`."""

    name: str
    number: int  # of the snapshot: each change of the run has the next
    version: str  # of a store; "" of a run that is served itself
    method: str
    corpus: Corpus
    ids: IdTable | None
    retriever: Retriever
    words: PathWords | None
    new: frozenset[str]  # documents that came after the model was taught, or since the service began
    _lock: Lock = field(default_factory=Lock)

    def answer(
        self, kind: str, questions: Sequence[Question], only: Sequence[str] | None, explain: bool
    ) -> list[Answer]:
        """The best documents of each question, all of one kind, found in one call."""
        left_out = [
            set(question.asked) if kind == HISTORY and not question.repeats else set() for question in questions
        ]
        most = max(q.k + len(out) for q, out in zip(questions, left_out, strict=True))
        asked = [q.asked if isinstance(q.asked, str) else list(q.asked) for q in questions]
        lists = self.retriever.answer(asked, min(most, len(self.corpus)), only=only)
        answers = []
        for question, text, out, hits in zip(questions, asked, left_out, lists, strict=True):
            hits = [hit for hit in hits if hit.doc_id not in out][: question.k]
            by_parts = self.retriever if explain and hits and isinstance(self.retriever, ByParts) else None
            answers.append(Answer(hits, [] if by_parts is None else by_parts.score_parts(text, hits, only=only)))
        return answers

    def restricted(self, only: Sequence[str] | None, labels: Sequence[str]) -> tuple[str, ...] | None:
        """The documents of `only` whose label begins with one of `labels`; None for all.

        Raises InputError where one is unknown, or none is left.
        """
        if only is None and not labels:
            return None
        wanted = list(self.corpus.doc_ids if only is None else only)
        rows_of(wanted, self.corpus.doc_ids)
        if labels:
            allowed = {self.corpus.doc_ids[row] for label in labels for row in self._labelled(label)}
            wanted = [doc_id for doc_id in wanted if doc_id in allowed]
        if not wanted:
            raise InputError("no document is in only and has such a label; leave one of them out")
        return tuple(wanted)

    def _labelled(self, label: str) -> list[int]:
        rows = rows_labelled(self.corpus.labels or [], label)
        if not rows:
            raise InputError(f"no document has the label {excerpt(label)}; see the labels of GET /runs")
        return rows

    def row(self, doc_id: str) -> int:
        """The row of a document. Raises KeyError."""
        return self.corpus.row_of[doc_id]

    @cached_property
    def label_counts(self) -> list[tuple[str, int]]:
        """The labels cut at each level with how many documents have them, the most frequent first."""
        counts: dict[tuple[str, ...], int] = {}
        for label in self.corpus.labels or ():
            for level in range(1, len(label) + 1):
                counts[label[:level]] = counts.get(label[:level], 0) + 1
        named = sorted(counts, key=lambda label: (-counts[label], label))[:LABELS_NAMED]
        return [(" > ".join(label), counts[label]) for label in sorted(named)]

    def words_of(self, path: Sequence[int]) -> list[str]:
        """What tells the documents below a path from those beside them."""
        return list(self.words.of_path.get(tuple(path), ())) if self.words is not None else []

    def map(self) -> bytes:
        """What the page draws of the ID tree, as JSON. Raises InputError where there are no IDs."""
        with self._lock:  # made once, however many ask
            return self._map

    @cached_property
    def _map(self) -> bytes:
        if self.ids is None or self.words is None:
            raise InputError(f"{self.name} has no IDs, so there is no tree to show")
        shown = Shown(self.name, self.ids, self.corpus.texts(), self.corpus.labels)
        drawn: dict[str, Any] = map_of(shown, self.words.by_position(self.ids))
        return json_text(drawn | {"number": self.number}, separators=(",", ":")).encode()

    @cached_property
    def bm25(self) -> Bm25Retriever:
        """The documents by their words, to explain what another method finds."""
        return Bm25Retriever(self.corpus)


def open_snapshot(
    name: str, path: Path, method: str, how: dict[str, Any], before: Snapshot | None = None, version: str = ""
) -> Snapshot:
    """A run as it is now, answered by a method that is asked `how`; `before` is the snapshot that it follows."""
    run = Run.open(path)
    corpus, ids = documents_and_perhaps_ids(run)
    retriever = method_of(method).open(path, **how)
    if tuple(retriever.doc_ids) != corpus.doc_ids:
        raise InputError(f"{path} was changed while it was read; it is read again")
    words = None if ids is None else PathWords.of(corpus, ids, before.words if before is not None else None)
    number = 1 if before is None else before.number + 1
    return Snapshot(name, number, version, method, corpus, ids, retriever, words, _new(run, corpus, before))


def _new(run: Run, corpus: Corpus, before: Snapshot | None) -> frozenset[str]:
    """The documents that a taught model did not see; of a run that was not taught, what came since it is served."""
    if run.has(KNOWN):
        known = set(load_known(run))
        return frozenset(
            doc_id for doc_id, key in zip(corpus.doc_ids, keys_of(corpus), strict=True) if key not in known
        )
    if before is None:
        return frozenset()
    return frozenset(corpus.doc_ids) & (before.new | (frozenset(corpus.doc_ids) - frozenset(before.corpus.doc_ids)))
