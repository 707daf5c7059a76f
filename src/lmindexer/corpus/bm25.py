"""BM25: how much every word of every document is worth to who asks for it.

Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), with Lucene's inverse document frequency, which
is above 0 for words in most documents too. The numbers are those of the package bm25s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

K1, B = 1.5, 0.75  # how soon repeating a word stops to count; how much long texts pay


@dataclass(frozen=True)
class WordCounts:
    """How often each of N documents has each of V words."""

    counts: "csr_matrix"  # (N, V), float32
    column_of: dict[str, int]  # of a word

    @classmethod
    def of(cls, documents: Iterable[Sequence[str]]) -> "WordCounts":
        """Count the words of each document."""
        from scipy.sparse import csr_matrix

        column_of: dict[str, int] = {}
        columns: list[np.ndarray] = []
        for words in documents:
            columns.append(np.array([column_of.setdefault(word, len(column_of)) for word in words], dtype=np.int32))
        starts = np.cumsum([0, *map(len, columns)])
        ones = np.ones(starts[-1], dtype=np.float32)
        found = np.concatenate([*columns, np.empty(0, dtype=np.int32)])
        counts = csr_matrix((ones, found, starts), shape=(len(columns), len(column_of)))
        counts.sum_duplicates()
        return cls(counts, column_of)


@dataclass(frozen=True)
class Bm25:
    """The words of N documents, V distinct ones, ready to be asked for."""

    worth: "csr_matrix"  # (N, V), float32; 0 where the document lacks the word
    column_of: dict[str, int]  # of a word

    @classmethod
    def of(cls, documents: Iterable[Sequence[str]], k1: float = K1, b: float = B) -> "Bm25":
        """Count the words of each document, and weigh them."""
        return cls.weighed(WordCounts.of(documents), k1, b)

    @classmethod
    def weighed(cls, words: WordCounts, k1: float = K1, b: float = B) -> "Bm25":
        """What words that are counted are worth."""
        return cls(_worth(words.counts, k1, b), words.column_of)

    @cached_property
    def by_word(self) -> "csr_matrix":
        """`worth` turned (V, N): the documents of a word lie together."""
        return self.worth.T.tocsr()

    def scores(self, words: Iterable[str]) -> np.ndarray:
        """What each document (N,) scores when these words are asked for, each of them as often as it comes."""
        scores = np.zeros(self.worth.shape[0], dtype=np.float32)
        for word in words:
            if (column := self.column_of.get(word)) is not None:
                place = slice(*self.by_word.indptr[column : column + 2])
                scores[self.by_word.indices[place]] += self.by_word.data[place]
        return scores


def _worth(counts: "csr_matrix", k1: float, b: float) -> "csr_matrix":
    """ln(1 + (N - n + 1/2) / (n + 1/2)) f / (f + k1 (1 - b + b L / mean L)), of counts f (N, V).

    n documents have the word; L is the length of the document in words.
    """
    N = counts.shape[0]
    holding = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log(1 + (N - holding + 0.5) / (holding + 0.5)).astype(np.float32)
    length = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    saturation = k1 * (1 - b + b * length / (length.mean() if length.any() else 1.0))  # (N,)
    share = counts.data / (counts.data + np.repeat(saturation, np.diff(counts.indptr)))
    worth = counts.copy()
    worth.data = (share * rarity[counts.indices]).astype(np.float32)
    return worth
