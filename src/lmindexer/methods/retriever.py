"""What every method gives when it is opened over the documents of a run: a retriever, which answers questions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np

from lmindexer.corpus.document import LONE_SURROGATE
from lmindexer.errors import InputError, check_list, excerpt
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.values import DocId, id_texts, plain

WORDS_FOR = {TEXT: "words", HISTORY: "histories"}


@dataclass(frozen=True)
class Hit:
    """A document found. Scores compare within one retriever only."""

    doc_id: str
    score: float


class How(TypedDict, total=False):
    """How IDs are searched; `GenerativeRetriever` says what each means."""

    beams: int
    exact: bool
    renormalise: bool
    novelty: float


class Retriever(ABC):
    """Answers texts, histories, or both, as `reads` says, with documents of `doc_ids` (N)."""

    name: str = "retriever"  # of the method, in tables
    reads: tuple[str, ...]  # of TEXT and HISTORY
    doc_ids: Sequence[str]
    settings: dict[str, Any]  # how it searches, as far as that changes the answer
    formula: str = ""  # what a score is, where it is a sum of several

    def answer(
        self, questions: Sequence[str | Sequence[DocId]], k: int = 10, *, only: Iterable[DocId] | None = None
    ) -> list[list[Hit]]:
        """The best k documents for each question, best first; fewer only where fewer exist or match.

        A question is a text, or a history: the ids of the documents that a user took, oldest first, which may be
        found again. The first j of k documents are the first j of any larger k, with the same scores. Of equal scores
        the document with the lower `ids.ties.tie_key` comes first. `only` restricts the answer to some documents,
        exactly. Raises InputError as `checked_questions` and `rows_of` do, and for a kind of question that it does not
        read.
        """
        kind, asked = checked_questions(questions, k)
        if asked and kind not in self.reads:
            raise InputError(f"this method answers {WORDS_FOR[self.reads[0]]}, not {WORDS_FOR[kind]}; choose another")
        rows = None if only is None else rows_of(only, self.doc_ids)
        return self._answer(asked, kind, k, rows) if asked else []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {len(self.doc_ids):,} documents)"

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[DocId] | None = None) -> list[list[Hit]]:
        """`answer` of texts."""
        return self.answer(checked_texts(texts), k, only=only)

    def recommend(
        self, histories: Sequence[Sequence[DocId]], k: int = 10, *, only: Iterable[DocId] | None = None
    ) -> list[list[Hit]]:
        """`answer` of histories."""
        return self.answer(checked_histories(histories), k, only=only)

    @abstractmethod
    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        """The same for at least one question, all of one `kind`; `rows` are those of `only`, ascending."""


@runtime_checkable
class ByWords(Protocol):
    """A retriever that goes by words, alone or beside others, so that there are queries it has nothing to go by for."""

    def without_words(self, texts: Sequence[str]) -> list[str]:
        """Those of `texts` of which no document has a word: nothing is found by words for them."""
        ...


@runtime_checkable
class ByParts(Protocol):
    """A retriever whose scores are sums of parts that have names: words, positions of an ID, other retrievers."""

    def score_parts(
        self, question: Any, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """What the score of each hit of a question is the sum of; `only` as the hits were found."""
        ...


def checked_questions(questions: Sequence[str | Sequence[DocId]], k: int) -> tuple[str, list[Any]]:
    """The kind of these questions, and the questions as lists of strings are.

    Raises InputError for a text in place of a list, for texts beside histories, as `checked_texts` and
    `checked_histories`, and for a k below 1.
    """
    check_list(questions, "questions")
    if k < 1:
        raise InputError(f"k is how many documents to find; it must be at least 1, not {k}")
    asked = list(plain(questions))
    are_texts = [isinstance(question, str) for question in asked]
    if all(are_texts):
        return TEXT, checked_texts(asked)
    if any(are_texts):
        raise InputError("some questions are texts and others histories; ask each kind by itself")
    return HISTORY, checked_histories(asked)


def checked_texts(texts: Iterable[object]) -> list[str]:
    """The texts. Raises InputError for a text in place of a list of them, and for one that is empty or no Unicode."""
    check_list(texts, "queries")
    found = list[str]()
    for n, text in enumerate(plain(texts), 1):
        if not isinstance(text, str):
            raise InputError(f"query {n} is {excerpt(text)}, not a text; give a list of texts")
        if not text.strip():
            raise InputError(f"query {n} is empty; give it at least one word")
        if LONE_SURROGATE.search(text):  # so Python hands on what a terminal of another encoding sent
            raise InputError(f"query {n} is not in UTF-8: {excerpt(text)}; write it in that encoding")
        found.append(text)
    return found


def checked_histories(histories: Iterable[Iterable[object]]) -> list[list[str]]:
    """The histories. Raises InputError for a text in place of a list of histories, or of one of them."""
    check_list(histories, "histories")
    return [id_texts(history, "a history") for history in plain(histories)]


def rows_of(only: Iterable[DocId], doc_ids: Sequence[str]) -> np.ndarray:
    """The rows of the documents a search is restricted to, ascending.

    Raises InputError for none, an unknown one, or a text in place of a list.
    """
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    rows = []
    for doc_id in id_texts(only, "the documents of only="):
        if doc_id not in row_of:
            raise InputError(f"{doc_id!r} is none of the {len(row_of):,} documents; leave it out of the search")
        rows.append(row_of[doc_id])
    if not rows:
        raise InputError("the search is restricted to no document at all; name at least one")
    return np.unique(rows)


def history_rows(histories: Sequence[Sequence[str]], row_of: Mapping[str, int]) -> list[list[int]]:
    """The rows of each history's documents. Raises InputError for an empty history and an unknown document."""
    rows = []
    for history in histories:
        unknown = [doc_id for doc_id in history if doc_id not in row_of]
        if unknown:
            raise InputError(f"{unknown[0]!r} of a history is none of the {len(row_of):,} documents; leave it out")
        if not history:
            raise InputError("a history is empty; name at least one document")
        rows.append([row_of[doc_id] for doc_id in history])
    return rows


def best_hits(scores: np.ndarray, doc_ids: Sequence[str], k: int, ranks: np.ndarray) -> list[Hit]:
    """The k highest of `scores` (N,), equal ones by `ranks` (N,), as of `ids.ties.tie_ranks`; -inf is no hit."""
    return [Hit(doc_ids[row], float(scores[row])) for row in best_rows(scores, k, ranks).tolist()]


def best_rows(scores: np.ndarray, k: int, ranks: np.ndarray) -> np.ndarray:
    """The places of the same."""
    k = min(k, len(scores))
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero((scores >= kth) & (scores > -np.inf))
    return rows[np.lexsort([ranks[rows], -scores[rows]])][:k]
