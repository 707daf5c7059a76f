"""Several documents that answer a query, to shares that BM25 and the encoder as it was published agree on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dense import DenseRetriever
from lmindexer.progress import Progress

DOCUMENTS = 100  # that share a query
AT_ONCE = 256  # queries
COSINES, WORDS = (5.0, 10.0, 20.0, 40.0), (0.1, 0.2, 0.4, 0.8, 1.6)  # weights in nats that are tried
FIRST = 10.0, 0.3  # by which the documents are chosen that are weighed


@dataclass(frozen=True)
class SoftTargets:
    """Of Q queries M documents each, and their shares, which sum to 1."""

    rows: np.ndarray  # (Q, M) int32
    share: np.ndarray  # (Q, M) float32

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        source: np.ndarray,
        target: np.ndarray,
        dense: DenseRetriever,
        words: Bm25Retriever,
        progress: Progress,
    ) -> "SoftTargets":
        """Softmax of a * cosine + b * BM25 over the first 100; a and b are those by which the pairs to learn from,
        queries `source` (E,) and documents `target` (E,), are likeliest.
        """
        size = min(DOCUMENTS, len(words.doc_ids))
        rows, parts = np.zeros((len(texts), size), np.int32), np.zeros((2, len(texts), size), np.float32)
        for at in range(0, len(texts), AT_ONCE):
            progress.count("asking BM25 and the encoder", at, len(texts), "queries")
            some = texts[at : at + AT_ONCE]
            scores = np.stack([dense.scores(some), words.scores(some)])  # (2, b, N)
            first = np.argpartition(-np.tensordot(FIRST, scores, 1), size - 1, axis=1)[:, :size]
            rows[at : at + AT_ONCE] = first
            parts[:, at : at + AT_ONCE] = np.take_along_axis(scores, first[None], axis=2)
        right = rows[source] == target[:, None]  # (E, M)
        weights = max(product(COSINES, WORDS), key=lambda pair: likelihood(_shares(parts, pair)[source], right))
        return cls(rows, _shares(parts, weights))

    def without(self, rows: np.ndarray) -> "SoftTargets":
        """The same where these documents have no share: the sums are below 1."""
        return replace(self, share=np.where(np.isin(self.rows, rows), np.float32(0), self.share))


def likelihood(share: np.ndarray, right: np.ndarray) -> float:
    """The mean log of the share (E, M) that is right, where any of it is."""
    found = right.any(1)
    return float(np.log(np.maximum(share[found][right[found]], 1e-9)).mean()) if found.any() else 0.0


def _shares(parts: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """(2, Q, M) -> (Q, M)"""
    scores = np.tensordot(weights, parts, 1)
    raised = np.exp(scores - scores.max(1, keepdims=True))
    shares: np.ndarray = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
    return shares
