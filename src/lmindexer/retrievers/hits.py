"""What every retriever gives, and what each of them checks of a question."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmindexer.errors import InputError


@dataclass(frozen=True)
class Hit:
    """A document found. Scores compare within one retriever only."""

    doc_id: str
    score: float


class Retriever(Protocol):
    """Text -> the best k documents, best first; fewer only where fewer exist or match.

    `only` restricts the search to some documents, exactly. Raises InputError as `check_question` does.
    """

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]: ...


class Recommender(Protocol):
    """What users took, document ids, oldest first -> the best k documents to take next, best first.

    Fewer only where fewer exist or match. Documents of the history may be among them. `only` restricts the
    answer to some documents, exactly. Raises InputError as `check_question` and `history_rows` do.
    """

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]: ...


def check_question(texts: Sequence[str], k: int) -> None:
    """Raise InputError for an empty text or a k below 1."""
    if k < 1:
        raise InputError(f"k is how many documents to find; it must be at least 1, not {k}")
    for n, text in enumerate(texts, 1):
        if not text.strip():
            raise InputError(f"query {n} is empty; give it at least one word")


def rows_of(only: Iterable[str], doc_ids: Sequence[str]) -> np.ndarray:
    """The rows of the documents a search is restricted to. Raises InputError for none or an unknown one."""
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    rows = []
    for doc_id in only:
        if doc_id not in row_of:
            raise InputError(f"{doc_id!r} is none of the {len(row_of):,} documents; leave it out of the search")
        rows.append(row_of[doc_id])
    if not rows:
        raise InputError("the search is restricted to no document at all; name at least one")
    return np.unique(rows)


def history_rows(histories: Sequence[Sequence[str]], row_of: Mapping[str, int]) -> list[list[int]]:
    """The rows of each history's documents. Raises InputError for an empty history or an unknown document."""
    rows = []
    for history in histories:
        unknown = [doc_id for doc_id in history if doc_id not in row_of]
        if unknown:
            raise InputError(f"{unknown[0]!r} of a history is none of the {len(row_of):,} documents; leave it out")
        if not history:
            raise InputError("a history is empty; name at least one document")
        rows.append([row_of[doc_id] for doc_id in history])
    return rows


def best_hits(scores: np.ndarray, doc_ids: Sequence[str], k: int) -> list[Hit]:
    """The k highest of `scores` (N,), ties by row; -inf is no hit."""
    k = min(k, len(scores))
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero((scores >= kth) & (scores > -np.inf))
    rows = rows[np.argsort(-scores[rows], kind="stable")][:k]
    return [Hit(doc_ids[int(row)], float(scores[row])) for row in rows]
