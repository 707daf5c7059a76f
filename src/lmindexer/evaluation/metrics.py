"""Is a search good: textbook metrics of ranked documents, each query by itself, as trec_eval defines them.

What counts is a document, never an ID: one that stands in a ranking twice is an error, not two hits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import CONFIDENCE, FEWEST, Interval

Id = TypeVar("Id", str, int)  # a document's id, or its row; the same in rankings and judgements


@dataclass(frozen=True)
class Graded:
    """What Q rankings hold, in grades: 0 = not relevant, or nothing there."""

    found: np.ndarray  # (Q, ranks) of the document at each rank
    ideal: np.ndarray  # (Q, ranks) of the best documents there are, highest first
    relevant: np.ndarray  # (Q,) how many documents are relevant, found or not


def recall(graded: Graded, k: int) -> np.ndarray:
    """Share of all relevant documents that stand among the first k."""
    return _hits(graded, k).sum(1) / graded.relevant


def precision(graded: Graded, k: int) -> np.ndarray:
    """Share of the first k that is relevant; a shorter ranking is filled up with what is not."""
    return _hits(graded, k).sum(1) / k


def hit(graded: Graded, k: int) -> np.ndarray:
    """1 where any of the first k is relevant."""
    return _hits(graded, k).any(1).astype(float)


def reciprocal_rank(graded: Graded, k: int) -> np.ndarray:
    """1 / rank of the first relevant document; 0 if that is not among the first k."""
    hits = _hits(graded, k)
    return (hits / _ranks(hits)).max(1, initial=0.0)


def average_precision(graded: Graded, k: int) -> np.ndarray:
    """map_cut of trec_eval: precision at each relevant rank up to k, divided by all relevant, not by min(all, k)."""
    hits = _hits(graded, k)
    return (hits * hits.cumsum(1) / _ranks(hits)).sum(1) / graded.relevant


def ndcg(graded: Graded, k: int) -> np.ndarray:
    """ndcg_cut of trec_eval: the gain is the grade itself, not 2^grade - 1; the ideal knows all relevant documents."""
    return _dcg(graded.found[:, :k]) / _dcg(graded.ideal[:, :k])


METRICS: dict[str, Callable[[Graded, int], np.ndarray]] = {
    "recall": recall,
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "precision": precision,
    "hit": hit,
}


@dataclass(frozen=True)
class Metric:
    """One of METRICS at a rank; as text `recall@10`."""

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"


@dataclass(frozen=True)
class Judged:
    """How well Q queries were answered."""

    query_ids: tuple[str, ...]  # Q
    values: dict[str, np.ndarray]  # by metric: (Q,)
    intervals: dict[str, Interval | None]  # of the mean, with other queries of the kind; None: nothing to tell
    unjudged: int  # queries left out, as no document is relevant to them

    @property
    def means(self) -> dict[str, float]:
        return {metric: float(values.mean()) for metric, values in self.values.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.unjudged:
            return ()
        whole = len(self.query_ids) + self.unjudged
        return (f"{self.unjudged:,} of {whole:,} queries have no relevant document and are left out, not counted as 0",)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        metrics = {
            metric: {"mean": mean, "interval": (each := self.intervals[metric]) and [each.low, each.high]}
            for metric, mean in self.means.items()
        }
        return {"queries": len(self.query_ids), "metrics": metrics, "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """A row a metric, then how many queries, and which were left out."""
        lines = [f"| metric | mean | {CONFIDENCE:.0%} interval |", "|---|---:|---:|"]
        for metric, mean in self.means.items():
            each = self.intervals[metric]
            span = f"{each.low:.4f}\N{EN DASH}{each.high:.4f}" if each else "-"
            lines.append(f"| {metric} | {mean:.4f} | {span} |")
        told = ". ".join([f"Means of {len(self.query_ids):,} queries", *self.notes])
        return "\n".join([*lines, "", f"{told}."]) + "\n"


def parse_metric(text: str) -> Metric:
    """`recall@10`. Raises InputError for a name that is none of METRICS, and a rank below 1."""
    name, _, rank = text.strip().lower().partition("@")
    if name not in METRICS:
        known = ", ".join(f"{each}@10" for each in METRICS)
        raise InputError(f"{text!r} is no metric; the known ones are {known}, at any rank")
    if not rank.isdecimal() or int(rank) < 1:
        raise InputError(f"{text!r} needs a rank from 1 up to count to, for example {name}@10")
    return Metric(name, int(rank))


def parse_metrics(texts: Sequence[str]) -> tuple[Metric, ...]:
    """`recall@1,5,10 ndcg@10`, each word a text: a metric at one or more ranks. One named twice comes once."""
    found = []
    for text in texts:
        name, _, ranks = text.partition("@")
        found += [parse_metric(f"{name}@{rank}") for rank in ranks.split(",")]
    if not found:
        raise InputError("no metric was named; give at least one, for example recall@10")
    return tuple(dict.fromkeys(found))


def judge(
    query_ids: Sequence[str],
    ranked: Sequence[Sequence[Id]],
    relevant: Sequence[Mapping[Id, float]],
    metrics: Sequence[Metric],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Judged:
    """Every metric of every query: `ranked` (Q) documents best first against `relevant` (Q) document -> grade.

    A grade of 0 or below is not relevant; a query for which nothing was found scores 0; one to which nothing
    is relevant has no score and is left out. Raises ValueError for a document ranked twice, InputError when
    no query is left.
    """
    rows = [q for q, grades in enumerate(relevant) if any(grade > 0 for grade in grades.values())]
    if not rows:
        raise InputError(f"none of {len(relevant):,} queries has a relevant document; there is nothing to judge by")
    for query_id, documents, _ in zip(query_ids, ranked, relevant, strict=True):
        if len(set(documents)) < len(documents):
            twice = next(d for n, d in enumerate(documents) if d in documents[:n])
            raise ValueError(f"document {twice!r} is ranked twice for query {query_id!r}; a document counts once")
    graded = grades_of([ranked[q] for q in rows], [relevant[q] for q in rows], max(metric.k for metric in metrics))
    by_metric = {str(metric): METRICS[metric.name](graded, metric.k) for metric in metrics}
    found = mean_intervals(np.column_stack(list(by_metric.values())), resamples, seed)
    intervals = dict(zip(by_metric, found, strict=True))
    return Judged(tuple(query_ids[q] for q in rows), by_metric, intervals, len(relevant) - len(rows))


def grades_of(ranked: Sequence[Sequence[Id]], relevant: Sequence[Mapping[Id, float]], k: int) -> Graded:
    """The grades of the first k documents of each ranking (Q), and of the k best there are."""
    found = [
        [max(grades.get(document, 0), 0) for document in documents[:k]]
        for documents, grades in zip(ranked, relevant, strict=True)
    ]
    ideal = [sorted((each for each in grades.values() if each > 0), reverse=True) for grades in relevant]
    return Graded(_padded(found), _padded([grades[:k] for grades in ideal]), np.array([len(each) for each in ideal]))


def mean_intervals(values: np.ndarray, resamples: int, seed: int) -> list[Interval | None]:
    """Percentile bootstrap over queries of the mean of each column of `values` (Q, M), in the same resamples.

    Queries are drawn with replacement: a mean, unlike counts of agreeing pairs, takes a query drawn twice in
    its stride. None for too few queries, and where all have the same value: 1.0 of thirty is no certainty.
    """
    Q = len(values)
    if Q < FEWEST or not resamples:
        return [None] * values.shape[1]
    random = np.random.default_rng(seed)
    means = np.array([np.bincount(random.integers(Q, size=Q), minlength=Q) @ values / Q for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    varies = np.ptp(values, axis=0) > 1e-9
    return [Interval(float(a), float(b)) if c else None for a, b, c in zip(low, high, varies, strict=True)]


def _hits(graded: Graded, k: int) -> np.ndarray:
    return graded.found[:, :k] > 0


def _ranks(grades: np.ndarray) -> np.ndarray:
    return np.arange(1, grades.shape[1] + 1)


def _dcg(grades: np.ndarray) -> np.ndarray:
    return (grades / np.log2(_ranks(grades) + 1)).sum(1)


def _padded(lists: Sequence[Sequence[float]]) -> np.ndarray:
    """One row each, filled up with 0."""
    padded = np.zeros((len(lists), max(map(len, lists), default=0)))
    for row, numbers in enumerate(lists):
        padded[row, : len(numbers)] = numbers
    return padded
