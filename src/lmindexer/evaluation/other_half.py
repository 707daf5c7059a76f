"""A judge that needs no labels: half a document asks for its other half, by vectors or through codes alone."""

import numpy as np

ALIKE = 1e-5  # cosines of equal texts that were read beside others differ by less; these come in any order


def found_by_vectors(asking: np.ndarray, sought: np.ndarray) -> float:
    """Mean reciprocal rank of the other half by cosine: row n of `asking` (N, D) seeks row n of `sought` (N, D)."""
    scores = _unit(asking) @ _unit(sought).T  # (N, N)
    above = scores - scores.diagonal()[:, None]
    ahead = (above > ALIKE).sum(1) + ((abs(above) <= ALIKE).sum(1) - 1) / 2
    return float((1 / (1 + ahead)).mean())


def found_through_codes(asking: np.ndarray, sought: np.ndarray, centres: np.ndarray) -> float:
    """The same where only a code says where the other half is: the nearest of `centres` (K, D), by cosine.

    Codes are tried from the nearest one on, and the halves of one code come in any order: a code that many share says
    little, so that a collapse does not pay.
    """
    centres = _unit(centres)
    code = (_unit(sought) @ centres.T).argmax(1)  # (N,)
    count = np.bincount(code, minlength=len(centres))
    scores = _unit(asking) @ centres.T  # (N, K)
    before = ((scores > scores[np.arange(len(code)), code][:, None]) * count).sum(1)
    return float((1 / (1 + before + (count[code] - 1) / 2)).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
