"""Nearest neighbours of a sample of documents, by judges that know nothing of the IDs: BM25 and embeddings."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from lmindexer.corpus.words import words_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SAMPLE = 2000  # documents whose neighbours are looked up
NEIGHBOURS = 10
K1, B = 1.5, 0.75  # BM25: how soon repeating a word stops to count; how much long texts pay
CELLS = 2**23  # scores held at a time, whatever the number of documents


def lexical_neighbours(texts: Sequence[str], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """The 10 best documents by BM25, for a sample of documents; -1 for the others.

    A document is the query, each of its words once. Words alone, so no encoder is judge in its own cause.
    Who shares no word is no neighbour: -1 too.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    found = np.full((len(texts), NEIGHBOURS), -1)
    try:
        counts = CountVectorizer(analyzer=words_of, dtype=np.float32).fit_transform(texts)  # (N, words)
    except ValueError:  # no words at all
        return found
    worth = _bm25(counts).T.tocsr()  # (words, N)
    for rows in _chunks(len(texts), seed):
        asked = (counts[rows] > 0).astype(np.float32)  # (b, words)
        scores = (asked @ worth).toarray()  # (b, N)
        scores[scores == 0] = -np.inf
        found[rows] = _best(scores, rows)
    return found


def embedding_neighbours(embeddings: Float[np.ndarray, "N D"], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """The same by cosine of the embeddings."""
    unit = embeddings.astype(np.float32)
    unit /= np.maximum(np.sqrt(np.einsum("nd,nd->n", unit, unit)), 1e-9)[:, None]  # makes no copy, as norm does
    found = np.full((len(unit), NEIGHBOURS), -1)
    for rows in _chunks(len(unit), seed):
        found[rows] = _best(unit[rows] @ unit.T, rows)
    return found


def _bm25(counts: "csr_matrix") -> "csr_matrix":
    """What each word of each document is worth to who asks for it (N, words), from how often it stands there.

    Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), with Lucene's inverse document
    frequency, ln(1 + (N - n + 1/2) / (n + 1/2)), which is above 0 for words in most documents too.
    """
    N = counts.shape[0]
    holding = np.bincount(counts.indices, minlength=counts.shape[1])  # documents with each word
    rarity = np.log1p((N - holding + 0.5) / (holding + 0.5))
    length = np.asarray(counts.sum(axis=1)).ravel()
    saturation = K1 * (1 - B + B * length / length.mean())  # (N,)
    worth = counts.copy()
    worth.data = counts.data / (counts.data + np.repeat(saturation, np.diff(counts.indptr)))
    worth.data = (worth.data * rarity[counts.indices]).astype(np.float32)
    return worth


def _chunks(N: int, seed: int) -> Iterator[np.ndarray]:
    """The rows of the sample, as many at a time as keep to CELLS scores."""
    sample = np.sort(np.random.default_rng(seed).permutation(N)[:SAMPLE])
    size = max(CELLS // max(N, 1), 1)
    for at in range(0, len(sample), size):
        yield sample[at : at + size]


def _best(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The best columns of each row of scores (b, N), the document itself left out; -1 where fewer exist."""
    scores[np.arange(len(rows)), rows] = -np.inf
    k = min(NEIGHBOURS, scores.shape[1])
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best = np.where(np.take_along_axis(scores, best, 1) == -np.inf, -1, best)
    return np.pad(best, ((0, 0), (0, NEIGHBOURS - k)), constant_values=-1)
