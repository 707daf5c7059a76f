"""Documents nearest to vectors: by cosine and exactly, however many documents there are."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmindexer.extras import is_installed
from lmindexer.methods.retriever import Hit, best_hits

BATCH = 256  # questions scored together
DECIMALS = 5  # of a cosine
MANY = 200_000  # vectors; from so many on faiss keeps the best of each question alone, where it is installed
BESIDE = 64  # documents that faiss is asked for beyond k, so that equal ones are all seen


class Nearest:
    """The vectors (N, D) of documents, each of length 1; `ranks` (N,) are those of `ids.ties.tie_ranks`.

    Every document is looked at: by one matrix product, or, of `MANY` vectors in a CPU's memory, by faiss, which does
    the same in parts. Both give the same answers.
    """

    def __init__(self, vectors: Tensor, doc_ids: Sequence[str], ranks: np.ndarray) -> None:
        self.vectors, self._doc_ids, self._ranks = vectors, doc_ids, ranks

    def hits(self, asked: Tensor, k: int, rows: np.ndarray | None = None) -> list[list[Hit]]:
        """The best k for each of the vectors `asked` (b, D), of length 1, among all documents or those of `rows`."""
        doc_ids, ranks, vectors = self._doc_ids, self._ranks, self.vectors
        if rows is not None:
            doc_ids, ranks = [doc_ids[row] for row in rows.tolist()], ranks[rows]
            vectors = vectors[torch.from_numpy(rows)]
        if len(vectors) >= MANY and vectors.device.type == "cpu" and is_installed("faiss"):
            return [
                best_hits(scores, [doc_ids[row] for row in places.tolist()], k, ranks[places])
                for places, scores in _by_faiss(asked.numpy(), vectors.numpy(), k)
            ]
        return [best_hits(row, doc_ids, k, ranks) for row in cosines(asked, vectors)]

    def scores(self, asked: Tensor) -> np.ndarray:
        """The cosines of the vectors `asked` (b, D) with all documents: (b, N) float32."""
        return cosines(asked, self.vectors)


def cosines(asked: Tensor, vectors: Tensor) -> np.ndarray:
    """Of vectors (b, D) and (N, D), all of length 1: (b, N) float32, as exact as equal texts need."""
    return _rounded(asked @ vectors.T)


def _by_faiss(asked: np.ndarray, vectors: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each question the places in `vectors` of those that may be among the k best, and their scores.

    Whatever is no farther than the k-th best, as far as rounding tells, is among them.
    """
    import faiss

    depth = min(k + BESIDE, len(vectors))
    while True:
        found = faiss.knn(asked, vectors, depth, metric=faiss.METRIC_INNER_PRODUCT)[1]
        pairs = zip(asked, found, strict=True)
        scores = np.stack([_rounded(torch.from_numpy((vectors[places] * one).sum(1))) for one, places in pairs])
        kth = -np.sort(-scores, axis=1)[:, min(k, depth) - 1]
        if depth == len(vectors) or (kth - scores.min(axis=1) > 2 * 10**-DECIMALS).all():
            return list(zip(found, scores, strict=True))
        depth = min(2 * depth, len(vectors))


def _rounded(cosines: Tensor) -> np.ndarray:
    """To what vectors in half precision can tell apart: equal texts are equally near, wherever they stand."""
    return cosines.float().cpu().numpy().round(DECIMALS)
