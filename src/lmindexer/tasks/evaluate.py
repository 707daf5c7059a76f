"""One or several retrievers asked the same queries, and how well each answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.evaluation.metrics import Judged, Metric, judge
from lmindexer.evaluation.significance import Difference, differences_to_first, to_dict, to_table
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
        return {"retrievers": to_dict(self.judged, self.differences), "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """A row a metric, a column a retriever: mean (95 % interval), and p of the difference to the first."""
        first = next(iter(self.judged.values()))
        lines = to_table(self.judged, self.differences, list(first.values))
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)]) + "\n"


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
    differences = differences_to_first(judged, [str(metric) for metric in metrics], seed=seed)
    return Evaluation(judged, differences, hits, queries.notes)
