"""Nearest neighbours of a sample of documents, by judges that know nothing of the IDs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

SAMPLE = 2000  # documents whose neighbours are looked up
NEIGHBOURS = 10


def lexical_neighbours(texts: Sequence[str], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """The 10 most similar documents by TF-IDF cosine, for a sample of documents; -1 for the others.

    Words alone, so no encoder is judge in its own cause. Who shares no word is no neighbour: -1 too.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        vectors = TfidfVectorizer(sublinear_tf=True, dtype=np.float32).fit_transform(texts)
    except ValueError:  # no words at all
        return np.full((len(texts), NEIGHBOURS), -1)
    found = np.full((len(texts), NEIGHBOURS), -1)
    sample = _sample(len(texts), seed)
    for rows in np.array_split(sample, max(len(sample) // 256, 1)):
        scores = np.asarray((vectors[rows] @ vectors.T).todense())
        found[rows] = _best(np.where(scores > 0, scores, -np.inf), rows)
    return found


def embedding_neighbours(embeddings: Float[np.ndarray, "N D"], seed: int = 0) -> Int[np.ndarray, "N 10"]:
    """The same by cosine of the embeddings."""
    unit = embeddings.astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    found = np.full((len(unit), NEIGHBOURS), -1)
    sample = _sample(len(unit), seed)
    for rows in np.array_split(sample, max(len(sample) // 256, 1)):
        found[rows] = _best(unit[rows] @ unit.T, rows)
    return found


def _sample(N: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(N)[:SAMPLE])


def _best(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The best columns of each row of scores (b, N), the document itself left out; -1 where fewer exist."""
    scores[np.arange(len(rows)), rows] = -np.inf
    k = min(NEIGHBOURS, scores.shape[1])
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best = np.where(np.take_along_axis(scores, best, 1) == -np.inf, -1, best)
    return np.pad(best, ((0, 0), (0, NEIGHBOURS - k)), constant_values=-1)
