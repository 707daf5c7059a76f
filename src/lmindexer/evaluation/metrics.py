"""Is a search good: textbook metrics of ranked documents, each query by itself, as trec_eval defines them.

What counts is a document, never an ID: one that stands in a ranking twice is an error, not two hits.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import CONFIDENCE, Interval, mean_intervals
from lmindexer.tables import table

Id = TypeVar("Id", str, int)  # a document's id, or its row; the same in rankings and judgements


@dataclass(frozen=True)
class Graded:
    """What Q rankings hold, in grades: 0 = not relevant, or nothing there."""

    found: np.ndarray  # (Q, ranks) of the document at each rank
    ideal: np.ndarray  # (Q, ranks) of the best documents there are, highest first
    relevant: np.ndarray  # (Q,) how many documents are relevant, found or not
    level: float  # grades from which a document is relevant; 0: any above 0


def recall(graded: Graded, k: int) -> np.ndarray:
    """Share of all relevant documents that stand among the first k."""
    return _share(_hits(graded, k).sum(1), graded.relevant)


def precision(graded: Graded, k: int) -> np.ndarray:
    """Share of the first k that is relevant; a shorter ranking is filled up with what is not."""
    return _hits(graded, k).sum(1) / k


def hit(graded: Graded, k: int) -> np.ndarray:
    """Give 1 where any of the first k is relevant, else 0."""
    return _hits(graded, k).any(1).astype(float)


def reciprocal_rank(graded: Graded, k: int) -> np.ndarray:
    """1 / rank of the first relevant document; 0 if that is not among the first k."""
    hits = _hits(graded, k)
    return (hits / _ranks(hits)).max(1, initial=0.0)


def average_precision(graded: Graded, k: int) -> np.ndarray:
    """map_cut of trec_eval: precision at each relevant rank up to k, divided by all relevant, not by min(all, k)."""
    hits = _hits(graded, k)
    return _share((hits * hits.cumsum(1) / _ranks(hits)).sum(1), graded.relevant)


def ndcg(graded: Graded, k: int) -> np.ndarray:
    """ndcg_cut of trec_eval: the gain is the grade itself, whatever the level; the ideal knows all graded documents."""
    return _share(_dcg(graded.found[:, :k]), _dcg(graded.ideal[:, :k]))


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
    intervals: dict[str, Interval | None]  # of the mean, with other queries of the kind; None: not asked for
    without_relevant: int  # queries to which no document is relevant: they are among the others and score 0

    @classmethod
    def of(
        cls,
        query_ids: Sequence[str],
        values: Mapping[str, np.ndarray],
        without_relevant: int = 0,
        *,
        resamples: int = 1000,
        seed: int = 0,
    ) -> "Judged":
        """These `values` by metric, each (Q,), with the intervals of their means."""
        found = mean_intervals(np.column_stack(list(values.values())), (0, 1), resamples, seed)
        return cls(tuple(query_ids), dict(values), dict(zip(values, found, strict=True)), without_relevant)

    def of_queries(self, query_ids: Collection[str]) -> "Judged":
        """What was found for some of the queries alone; how many of them have nothing relevant is not known."""
        places = [n for n, query_id in enumerate(self.query_ids) if query_id in query_ids]
        some = {metric: by_query[places] for metric, by_query in self.values.items()}
        return Judged.of([self.query_ids[n] for n in places], some)

    @property
    def means(self) -> dict[str, float]:
        return {metric: float(values.mean()) for metric, values in self.values.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.without_relevant:
            return ()
        of_all = f"{self.without_relevant:,} of {len(self.query_ids):,} queries"
        return (f"{of_all} have no relevant document and count as 0, as in trec_eval",)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        metrics = {
            metric: {"mean": mean, "interval": (interval := self.intervals[metric]) and [interval.low, interval.high]}
            for metric, mean in self.means.items()
        }
        return {"queries": len(self.query_ids), "metrics": metrics, "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """Write a table with a row for every metric, then how many queries there are and how many count as 0."""
        rows = []
        for metric, mean in self.means.items():
            interval = self.intervals[metric]
            span = f"{interval.low:.4f}\N{EN DASH}{interval.high:.4f}" if interval else "-"
            rows.append((metric, f"{mean:.4f}", span))
        lines = table(("metric", "mean", f"{CONFIDENCE:.0%} interval"), rows)
        summary = ". ".join([f"Means of {len(self.query_ids):,} queries", *self.notes])
        return "\n".join([*lines, "", f"{summary}."]) + "\n"


def mean_of(several: Sequence[Judged]) -> Judged:
    """The mean of every query's values over systems that were asked the same queries, such as seeds of one.

    Raises InputError where they were not.
    """
    first = several[0]
    if len(several) == 1:
        return first
    if any(one.query_ids != first.query_ids for one in several):
        raise InputError("these were not asked the same queries in the same order; evaluate all on the same split")
    values = {metric: np.mean([one.values[metric] for one in several], axis=0) for metric in first.values}
    return Judged.of(first.query_ids, values, first.without_relevant)


def parse_metric(text: str) -> Metric:
    """`recall@10`. Raises InputError for a name that is none of METRICS, and a rank below 1."""
    name, _, rank = text.strip().lower().partition("@")
    if name not in METRICS:
        known = ", ".join(f"{name}@10" for name in METRICS)
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
    level: float = 0.0,
    resamples: int = 1000,
    seed: int = 0,
) -> Judged:
    """Every metric of every query: `ranked` (Q) documents best first against `relevant` (Q) document -> grade.

    All relevant documents count, also those that nobody could find. Relevant is a grade above 0, and at least
    `level`; ndcg takes the grades as they are. As in trec_eval a query for which nothing was found scores 0, and so
    does one to which nothing is relevant. Raises ValueError for a document ranked twice, InputError when nothing is
    relevant to any query.
    """
    for query_id, documents in zip(query_ids, ranked, strict=True):
        if len(set(documents)) < len(documents):
            twice = next(d for n, d in enumerate(documents) if d in documents[:n])
            raise ValueError(f"document {twice!r} is ranked twice for query {query_id!r}; a document counts once")
    graded = grades_of(ranked, relevant, max(metric.k for metric in metrics), level)
    without = int((graded.relevant == 0).sum())
    if without == len(relevant):
        graded_up_to = max((grade for grades in relevant for grade in grades.values()), default=0)
        reason = f": the highest grade is {graded_up_to:g}, below {level:g}" if level > graded_up_to > 0 else ""
        raise InputError(
            f"none of {len(relevant):,} queries has a relevant document{reason}; there is nothing to judge by"
        )
    by_metric = {str(metric): METRICS[metric.name](graded, metric.k) for metric in metrics}
    return Judged.of(query_ids, by_metric, without, resamples=resamples, seed=seed)


def grades_of(
    ranked: Sequence[Sequence[Id]], relevant: Sequence[Mapping[Id, float]], k: int, level: float = 0.0
) -> Graded:
    """The grades of the first k documents of each ranking (Q), and of the k best there are."""
    found = [
        [max(grades.get(document, 0), 0) for document in documents[:k]]
        for documents, grades in zip(ranked, relevant, strict=True)
    ]
    ideal = [sorted((grade for grade in grades.values() if grade > 0), reverse=True) for grades in relevant]
    count = np.array([sum(grade >= level for grade in grades) for grades in ideal])
    return Graded(_padded(found), _padded([grades[:k] for grades in ideal]), count, level)


def _hits(graded: Graded, k: int) -> np.ndarray:
    found = graded.found[:, :k]
    return (found > 0) & (found >= graded.level)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, where 0 of 0 is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _ranks(grades: np.ndarray) -> np.ndarray:
    return np.arange(1, grades.shape[1] + 1)


def _dcg(grades: np.ndarray) -> np.ndarray:
    return (grades / np.log2(_ranks(grades) + 1)).sum(1)


def _padded(lists: Sequence[Sequence[float]]) -> np.ndarray:
    """Stack lists as rows, filled up with 0."""
    padded = np.zeros((len(lists), max(map(len, lists), default=0)))
    for row, numbers in enumerate(lists):
        padded[row, : len(numbers)] = numbers
    return padded
