"""One or several retrievers asked the same queries, and how well each answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.metrics import Difference, Judged, Metric, difference, judge
from lmindexer.retrievers.hits import Hit, Retriever
from lmindexer.tasks.queries import Queries


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, by retriever; `differences` of each to the first, by metric."""

    judged: dict[str, Judged]
    differences: dict[str, dict[str, Difference]]
    hits: dict[str, list[list[Hit]]]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        told = {}
        for name, judged in self.judged.items():
            told[name] = judged.to_dict()
            for metric, each in self.differences.get(name, {}).items():
                told[name]["metrics"][metric]["difference_to_first"] = {
                    "mean": each.mean,
                    "interval": each.interval and [each.interval.low, each.interval.high],
                    "p_value": each.p_value,
                }
        return {"retrievers": told, "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """A row a metric, a column a retriever: mean (95 % interval), and p of the difference to the first."""
        first = next(iter(self.judged.values()))
        lines = ["|  | " + " | ".join(self.judged) + " |", "|---|" + "---:|" * len(self.judged)]
        for metric in first.values:
            cells = []
            for name, judged in self.judged.items():
                cell = f"{judged.means[metric]:.4f}{_span(judged.intervals[metric])}"
                if name in self.differences:
                    cell += f" p={self.differences[name][metric].p_value:.3f}"
                cells.append(cell)
            lines.append(f"| {metric} | " + " | ".join(cells) + " |")
        told = [f"Means of {len(first.query_ids):,} queries, in brackets 95 % intervals over queries."]
        if self.differences:
            told.append(f"p: as large a difference to {next(iter(self.judged))} comes by chance (sign-flip test).")
        return "\n".join([*lines, "", " ".join(told), *(f"Note: {note}." for note in self.notes)]) + "\n"


def evaluate(
    retrievers: Mapping[str, Retriever], queries: Queries, metrics: Sequence[Metric], *, seed: int = 0
) -> Evaluation:
    """Ask every retriever all queries, as deep as the metrics look, and judge the documents that it finds."""
    k = max(metric.k for metric in metrics)
    hits = {name: retriever.search(queries.texts, k) for name, retriever in retrievers.items()}
    judged = {
        name: judge(
            queries.query_ids, [[h.doc_id for h in each] for each in found], queries.relevant, metrics, seed=seed
        )
        for name, found in hits.items()
    }
    first, *others = judged
    differences = {
        name: {str(metric): difference(judged[first], judged[name], str(metric), seed=seed) for metric in metrics}
        for name in others
    }
    return Evaluation(judged, differences, hits, queries.notes)


def _span(interval: Interval | None) -> str:
    return f" ({interval.low:.3f}\N{EN DASH}{interval.high:.3f})" if interval else ""
