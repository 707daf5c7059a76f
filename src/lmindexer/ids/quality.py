"""How good the IDs are: use of the codes, duplicates, agreement with labels and with neighbours (section 4).

Plain functions of arrays; `measure` puts them together. Every share of pairs is counted exactly, not sampled.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmindexer.files import finite
from lmindexer.ids.table import IdTable, path_ids

SMALL_BUCKET = 5  # Figure 6: "most IDs contain less than 5 documents"; ours counts 5 in


def perplexity(codes: np.ndarray, size: int) -> float:
    """exp of the entropy in nats of `codes` (N,): how many codes are in use as if equally (section 4.3).

    1 = all documents have one code, `size` = all codes are equally frequent.
    """
    counts = np.bincount(codes, minlength=size)
    return math.exp(_entropy(counts)) if len(codes) else math.nan


def used_share(codes: np.ndarray, size: int) -> float:
    """Share of the `size` codes which some document of `codes` (N,) has."""
    return float(np.count_nonzero(np.bincount(codes, minlength=size)) / size)


def gini(codes: np.ndarray, size: int) -> float:
    """Gini coefficient of how many documents of `codes` (N,) each of the `size` codes has, unused ones too.

    0 = all codes equally many, 1 - 1/size = one code has all.
    """
    counts = np.sort(np.bincount(codes, minlength=size))
    weights = 2 * np.arange(1, size + 1) - size - 1  # -(size - 1) for the rarest code ... size - 1
    return _share(int(weights @ counts), size * len(codes))


def bucket_sizes(codes: np.ndarray) -> np.ndarray:
    """How many documents of `codes` (N, T) share each distinct learned path (Figure 6): one int a path."""
    return np.bincount(path_ids(codes))


def share_in_buckets_of_at_most(codes: np.ndarray, limit: int) -> float:
    """Share of the documents of `codes` (N, T) whose learned path at most `limit` documents have."""
    sizes = bucket_sizes(codes)
    return _share(sizes[sizes <= limit].sum(), len(codes))


def difference_ratio(codes_before: np.ndarray, codes_next: np.ndarray) -> float:
    """Figure 4(d): of the pairs which share `codes_before` (N, t), how many differ in `codes_next` (N,).

    nan when no two documents share a prefix.
    """
    pairs = _pairs(path_ids(codes_before))
    return _share(pairs - _pairs(path_ids(np.column_stack([codes_before, codes_next]))), pairs)


def label_ids(labels: Sequence[tuple[str, ...]], level: int | None) -> np.ndarray:
    """One int (N,) per label: a label path cut to its first `level` parts (None: whole); -1 = no label.

    A path shorter than `level` stays whole.
    """
    numbers: dict[tuple[str, ...], int] = {}
    return np.array(
        [numbers.setdefault(label[:level], len(numbers)) if label else -1 for label in labels], dtype=np.int64
    )


def ami(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Adjusted mutual information (Vinh et al. 2009; Appendix A.4, Table 1) of (N,) ints, but label -1.

    Equals scikit-learn's `adjusted_mutual_info_score` (arithmetic mean). The expected information depends on
    the sizes of the clusters only, so it is worked out once per distinct pair of sizes: 100,000 documents
    in 50,000 buckets take a second instead of a minute.
    """
    labels, clusters = labels[labels >= 0], clusters[labels >= 0]
    if not len(labels):
        return math.nan
    label_sizes, cluster_sizes = bucket_sizes(labels[:, None]), bucket_sizes(clusters[:, None])
    if len(label_sizes) == 1 or len(cluster_sizes) == 1:
        return float(len(label_sizes) == len(cluster_sizes))
    label_entropy, cluster_entropy = _entropy(label_sizes), _entropy(cluster_sizes)
    information = label_entropy + cluster_entropy - _entropy(bucket_sizes(np.column_stack([labels, clusters])))
    expected = _expected_information(label_sizes, cluster_sizes)
    room = (label_entropy + cluster_entropy) / 2 - expected
    if math.isclose(room, 0, abs_tol=1e-12):  # every document alone on both sides: the perfect match
        return 1.0
    return float((information - expected) / room)


def hierarchical_precision(labels: np.ndarray, codes: np.ndarray, depth: int) -> float:
    """Of the pairs which share their first `depth` codes, the share with the same label.

    `labels` (N,) ints, -1 is left out; `codes` (N, T). nan when no pair is left. Depth 0 is by chance.
    """
    prefixes, labels = path_ids(codes[labels >= 0, :depth]), labels[labels >= 0]
    return _share(_pairs(path_ids(np.column_stack([prefixes, labels]))), _pairs(prefixes))


def neighbour_recall(neighbours: np.ndarray, codes: np.ndarray, depth: int) -> float:
    """Mean share of a document's nearest neighbours which share its first `depth` codes.

    `neighbours` (N, k) rows, from outside (an independent encoder, BM25), without the document itself,
    -1 = none; `codes` (N, T).
    """
    found, compared = neighbours_found(neighbours, codes, depth)
    return _share(found.sum(), compared.sum())


def neighbours_found(neighbours: np.ndarray, codes: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of each document's neighbours share its first `depth` codes, and how many it has: (N,), (N,)."""
    prefixes = path_ids(codes[:, :depth])
    is_there = neighbours >= 0
    return ((prefixes[neighbours] == prefixes[:, None]) & is_there).sum(1), is_there.sum(1)


@dataclass(frozen=True)
class PositionQuality:
    """One learned position."""

    size: int
    perplexity: float
    used_share: float
    gini: float
    difference_ratio: float  # among pairs which share all positions before


@dataclass(frozen=True)
class LabelQuality:
    """One level of the labels; the tuples go by depth, for c1, then (c1, c2), and so on."""

    level: int | None  # the first so many parts of the label; None = all of it
    distinct: int
    labelled: int  # documents
    ami: tuple[float, ...]
    hierarchical_precision: tuple[float, ...]
    precision_by_chance: float


@dataclass(frozen=True)
class QualityReport:
    """What `measure` found; nan where there was nothing to count."""

    documents: int
    positions: tuple[PositionQuality, ...]
    sharing: int  # documents whose learned path another one has too
    largest_bucket: int
    share_in_small_buckets: float  # of at most SMALL_BUCKET documents
    bucket_histogram: dict[int, int]  # bucket size -> how many buckets have it
    labels: tuple[LabelQuality, ...]  # none without labels
    neighbour_recall: tuple[float, ...]  # by depth; none without neighbours

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: nan becomes null, the whole label's level "leaf"."""
        report = finite(asdict(self))
        report["bucket_histogram"] = {str(size): count for size, count in self.bucket_histogram.items()}
        for label in report["labels"]:
            label["level"] = label["level"] or "leaf"
        return report


def measure(
    table: IdTable, labels: Sequence[tuple[str, ...]] | None, neighbours: np.ndarray | None = None
) -> QualityReport:
    """All of the above for the learned codes of `table`; `labels` (N) and `neighbours` (N, k) by its rows."""
    codes = table.codes
    buckets = bucket_sizes(codes)
    sizes, counts = np.unique(buckets, return_counts=True)
    return QualityReport(
        documents=len(table),
        positions=tuple(_position_quality(codes, t, size) for t, size in enumerate(table.sizes)),
        sharing=int(buckets[buckets > 1].sum()),
        largest_bucket=int(buckets.max(initial=0)),
        share_in_small_buckets=share_in_buckets_of_at_most(codes, SMALL_BUCKET),
        bucket_histogram=dict(zip(sizes.tolist(), counts.tolist(), strict=True)),
        labels=() if labels is None else _label_quality(labels, codes),
        neighbour_recall=()
        if neighbours is None
        else tuple(neighbour_recall(neighbours, codes, t + 1) for t in range(codes.shape[1])),
    )


def _position_quality(codes: np.ndarray, t: int, size: int) -> PositionQuality:
    column = codes[:, t]
    use = perplexity(column, size), used_share(column, size), gini(column, size)
    return PositionQuality(size, *use, difference_ratio(codes[:, :t], column))


def _label_quality(labels: Sequence[tuple[str, ...]], codes: np.ndarray) -> tuple[LabelQuality, ...]:
    """Every level from the first to the leaf; one at which all documents have the same label says nothing."""
    deepest = max((len(label) for label in labels), default=0)
    depths = range(1, codes.shape[1] + 1)
    levels = []
    for level in [*range(1, deepest), None]:
        numbers = label_ids(labels, level)
        distinct = int(numbers.max(initial=-1)) + 1
        if distinct > 1:
            labelled = int((numbers >= 0).sum())
            agreement = tuple(ami(numbers, path_ids(codes[:, :depth])) for depth in depths)
            by_chance, *precision = (hierarchical_precision(numbers, codes, depth) for depth in (0, *depths))
            levels.append(LabelQuality(level, distinct, labelled, agreement, tuple(precision), by_chance))
    return tuple(levels)


def _expected_information(sizes: np.ndarray, other_sizes: np.ndarray) -> float:
    """Mutual information in nats which two clusterings of these sizes have by chance (Vinh et al. 2009)."""
    N = int(sizes.sum())
    log_factorial = log_factorials(N)
    expected = 0.0
    for a, a_count in zip(*np.unique(sizes, return_counts=True), strict=True):
        for b, b_count in zip(*np.unique(other_sizes, return_counts=True), strict=True):
            expected += a_count * b_count * information_by_chance(int(a), int(b), log_factorial)
    return expected


def log_factorials(N: int) -> np.ndarray:
    """ln n! for n = 0 ... N: (N + 1,)."""
    from scipy.special import gammaln

    return gammaln(np.arange(N + 1) + 1.0)


def information_by_chance(a: int, b: int, log_factorial: np.ndarray) -> float:
    """What two clusters of `a` and `b` of N documents add to the mutual information by chance, in nats.

    `log_factorial` (N + 1,). The documents the two have in common are hypergeometric; how many are out of
    reach by 12 standard deviations are left out.
    """
    N = len(log_factorial) - 1
    mean = a * b / N
    reach = 12 * math.sqrt(mean) + 24
    least, most = max(1, a + b - N, int(mean - reach)), min(a, b, int(mean + reach))
    both = np.arange(least, most + 1)
    log_chance = (
        log_factorial[a] + log_factorial[b] + log_factorial[N - a] + log_factorial[N - b]
        - log_factorial[N] - log_factorial[both] - log_factorial[a - both] - log_factorial[b - both]
        - log_factorial[N - a - b + both]
    )  # fmt: skip
    return float((both / N * np.log(N * both / (a * b))) @ np.exp(log_chance))


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _pairs(groups: np.ndarray) -> int:
    """How many pairs of documents have the same group: `groups` (N,) ints."""
    counts = np.bincount(groups)
    return int((counts * (counts - 1) // 2).sum())


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
