"""Nearest neighbours of a sample of documents, by judges that know nothing of the IDs: BM25 and embeddings."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from lmindexer.corpus.bm25 import Bm25
from lmindexer.corpus.words import words_of

SAMPLE = 2000  # documents whose neighbours are looked up
NEIGHBOURS = 10
CELLS = 2**23  # scores held at a time, whatever the number of documents


def lexical_neighbours(texts: Sequence[str], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """Find the 10 best documents by BM25, for a sample of documents; -1 for the others.

    A document is the query, each of its words once. Words alone, so no encoder is judge in its own cause.
    Who shares no word is no neighbour: -1 too.
    """
    index = Bm25.of(map(words_of, texts))
    found = np.full((len(texts), NEIGHBOURS), -1)
    if not index.column_of:
        return found
    for rows in _chunks(len(texts), seed):
        words = (index.worth[rows] > 0).astype(np.float32)  # (b, V)
        scores = (words @ index.by_word).toarray()  # (b, N)
        scores[scores == 0] = -np.inf
        found[rows] = _best(scores, rows)
    return found


def embedding_neighbours(embeddings: Float[np.ndarray, "N D"], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """Find the 10 nearest documents by cosine of the embeddings, for the same sample; -1 for the others."""
    unit = embeddings.astype(np.float32)
    unit /= np.maximum(np.sqrt(np.einsum("nd,nd->n", unit, unit)), 1e-9)[:, None]  # makes no copy, as norm does
    found = np.full((len(unit), NEIGHBOURS), -1)
    for rows in _chunks(len(unit), seed):
        found[rows] = _best(unit[rows] @ unit.T, rows)
    return found


def _chunks(N: int, seed: int) -> Iterator[np.ndarray]:
    """Give the rows of the sample, as many at a time as keep to CELLS scores."""
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
