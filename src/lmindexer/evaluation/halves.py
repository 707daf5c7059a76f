"""How far AMI and hierarchical precision would move with other documents: intervals from random halves of them.

These two count agreeing pairs of documents and are no means, so that the interval of `bootstrap` is not theirs. The
usual bootstrap draws documents with replacement. A document drawn twice shares label and code with itself,
so numbers that count agreeing documents rise for no reason (Snijders and Borgatti 1999). A half drawn without
replacement holds no document twice, and a mean of N / 2 of N documents is spread around the mean of all as that
is around the truth: 1 / (N / 2) - 1 / N = 1 / N. It is the delete-half jackknife (Shao and Wu 1989; as a
bootstrap with weights 0 and 2: Praestgaard and Wellner 1993). Numbers such as AMI have another level in halves,
so only the spread of the halves is used, put around the number of all documents.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmindexer.evaluation.bootstrap import CONFIDENCE, Interval
from lmindexer.ids.quality import information_by_chance, log_factorials
from lmindexer.ids.table import path_ids

FEWEST = 20  # documents; halves of fewer say nothing
GRID = 1.05  # sizes of clusters for which chance is worked out: each so many times the last


def halves(N: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """`resamples` random halves of the rows of N documents; the same for the same seed."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield random.permutation(N)[: N // 2]


def interval(
    estimate: float, replicates: np.ndarray, N: int, scale: float = 1.0, bounds: tuple[float, float] = (-1.0, 1.0)
) -> Interval | None:
    """Percentile interval of a number of N documents from that of R halves of them (R,), kept in `bounds`.

    `scale` narrows the spread (see `precision_scale`). None where nothing can be said: too few documents, no
    number in many halves, or the same in all: 1.0 of three pairs is no certainty.
    """
    known = replicates[np.isfinite(replicates)]
    if N < FEWEST or len(known) < max(0.9 * len(replicates), 1) or np.ptp(known) < 1e-9 or not math.isfinite(estimate):
        return None
    scale *= math.sqrt((N // 2) / (N - N // 2))  # an odd document is left out
    spread = np.quantile(known - known.mean(), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = np.clip(estimate + scale * spread, *bounds)
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class LabelReplicates:
    """AMI and hierarchical precision in each half: levels of the labels, prefixes, R; nan where undefined."""

    ami: np.ndarray
    precision: np.ndarray


def label_replicates(
    labels: Sequence[np.ndarray], prefixes: Sequence[np.ndarray], resamples: int, seed: int
) -> LabelReplicates:
    """Both numbers of every level of `labels` with every one of `prefixes`, in the same halves for all.

    Each is (N,) dense ints, without documents that have no label. Counting happens once a half; chance in AMI
    is read off `ChanceInformation`. With tiny buckets the interval of AMI is too wide, never too narrow: pairs
    vary more in halves than documents do (see `precision_scale`).
    """
    N = len(labels[0])
    ami = np.full((len(labels), len(prefixes), resamples), np.nan)
    precision = np.full_like(ami, np.nan)
    if N < FEWEST or not resamples:
        return LabelReplicates(ami, precision)
    chance = _chance_information(N // 2)
    both = [[path_ids(np.column_stack([label, prefix])) for prefix in prefixes] for label in labels]
    for r, rows in enumerate(halves(N, resamples, seed)):
        by_prefix = [np.bincount(prefix[rows]) for prefix in prefixes]
        for i, label in enumerate(labels):
            by_label = np.bincount(label[rows])
            for j, prefix_counts in enumerate(by_prefix):
                cells = np.bincount(both[i][j][rows])
                ami[i, j, r] = chance.ami(by_label, prefix_counts, cells)
                pairs = _pairs(prefix_counts)
                precision[i, j, r] = _pairs(cells) / pairs if pairs else np.nan
    return LabelReplicates(ami, precision)


def precision_scale(labels: np.ndarray, prefixes: np.ndarray, other_prefixes: np.ndarray | None = None) -> float:
    """How much narrower hierarchical precision is spread over documents than over halves, 3^-0.5 ... 1.

    A share of pairs varies with its documents (V_1: some agree with all their mates) and with each pair by
    itself (V_2): V = V_1 + V_2 (Hoeffding 1948). A pair is in a half with both its documents, one time in four:
    halves are spread by V_1 + 3 V_2, which matters where buckets hold two or three documents. V_1 + 2 V_2 is
    the sum over documents, V_2 that over pairs of squared distances from the precision (as in dyadic standard
    errors, Aronow, Samii and Assenova 2015). With `other_prefixes`, of the difference of both precisions.
    """
    sides = [(1.0, prefixes)] if other_prefixes is None else [(1.0, prefixes), (-1.0, other_prefixes)]
    by_document, shares = np.zeros(len(labels)), []
    for sign, groups in sides:
        cells = path_ids(np.column_stack([groups, labels]))
        group_counts, cell_counts = np.bincount(groups), np.bincount(cells)
        pairs = _pairs(group_counts)
        if not pairs:
            return math.nan
        precision = _pairs(cell_counts) / pairs
        by_document += sign / pairs * ((cell_counts[cells] - 1) - precision * (group_counts[groups] - 1))
        shares.append((sign / pairs, precision, groups))
    by_pair = 0.0
    for weight, precision, groups in shares:
        for other_weight, other_precision, other_groups in shares:
            together = path_ids(np.column_stack([groups, other_groups]))
            same = _pairs(np.bincount(path_ids(np.column_stack([together, labels]))))
            different = _pairs(np.bincount(together)) - same
            squares = same * (1 - precision) * (1 - other_precision) + different * precision * other_precision
            by_pair += weight * other_weight * squares
    if by_pair < 1e-15:  # nothing varies
        return 1.0
    documents = max(float(by_document @ by_document) - 2 * by_pair, 0.0)
    return math.sqrt((documents + by_pair) / (documents + 3 * by_pair))


class ChanceInformation:
    """AMI of many clusterings of the same N documents, quickly.

    What two clusters have in common by chance depends on their sizes only and smoothly so: it is worked out
    once for a grid of sizes, and taken in a straight line between them.
    """

    def __init__(self, N: int) -> None:
        sizes = [1]
        while sizes[-1] < N:
            sizes.append(min(max(sizes[-1] + 1, int(sizes[-1] * GRID)), N))
        log_factorial = log_factorials(N)
        grid = np.array(sizes)
        self.information = np.zeros((len(grid), len(grid)))
        for i, a in enumerate(sizes):
            for j, b in enumerate(sizes[: i + 1]):
                self.information[i, j] = self.information[j, i] = information_by_chance(a, b, log_factorial)
        self.place = np.interp(np.arange(N + 1), grid, np.arange(len(grid)))  # of each size in the grid
        self.n_log_n = np.arange(N + 1) * np.log(np.maximum(np.arange(N + 1), 1))
        self.N = N

    def ami(self, label_counts: np.ndarray, cluster_counts: np.ndarray, cell_counts: np.ndarray) -> float:
        """`quality.ami` from how many documents each label, each cluster and each pair of both has."""
        label_counts, cluster_counts = label_counts[label_counts > 0], cluster_counts[cluster_counts > 0]
        if len(label_counts) == 1 or len(cluster_counts) == 1:
            return float(len(label_counts) == len(cluster_counts))
        of_labels, of_clusters, of_both = (
            math.log(self.N) - self.n_log_n[counts].sum() / self.N
            for counts in (label_counts, cluster_counts, cell_counts)
        )
        expected = self._on_grid(label_counts) @ self.information @ self._on_grid(cluster_counts)
        room = (of_labels + of_clusters) / 2 - expected
        return float((of_labels + of_clusters - of_both - expected) / room) if room > 1e-9 else 1.0

    def _on_grid(self, counts: np.ndarray) -> np.ndarray:
        """How many clusters of each size of the grid stand for clusters of these sizes."""
        place = self.place[counts]
        below = place.astype(np.int64)
        size = len(self.information)
        near = np.bincount(below, 1 - (place - below), minlength=size)
        return near + np.bincount(np.minimum(below + 1, size - 1), place - below, minlength=size)


@lru_cache(maxsize=1)
def _chance_information(N: int) -> ChanceInformation:
    return ChanceInformation(N)


def _pairs(counts: np.ndarray) -> int:
    return int((counts * (counts - 1)).sum()) // 2
