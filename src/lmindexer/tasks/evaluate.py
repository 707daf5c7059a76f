"""One or several retrievers asked the same queries, and how well each answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.evaluation.metrics import Judged, Metric, judge
from lmindexer.evaluation.significance import Difference, differences_to_first, to_dict, to_table
from lmindexer.progress import Progress
from lmindexer.retrievers.hits import ByWords, Hit, Retriever
from lmindexer.tasks.queries import Queries

AT_ONCE = 256  # queries in one question; retrievers read as many or a whole part of it at a time


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, by retriever; `differences` of each to the first, by metric."""

    judged: dict[str, Judged]
    differences: dict[str, dict[str, Difference]]
    hits: dict[str, list[list[Hit]]]
    notes: tuple[str, ...]  # what was left out or missing, and how it was judged

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"retrievers": to_dict(self.judged, self.differences), "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """A row a metric, a column a retriever: mean (95 % interval), and p of the difference to the first."""
        first = next(iter(self.judged.values()))
        lines = to_table(self.judged, self.differences, list(first.values))
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)]) + "\n"


def evaluate(
    retrievers: Mapping[str, Retriever],
    queries: Queries,
    metrics: Sequence[Metric],
    *,
    level: float = 0.0,
    leave_self_out: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every retriever all queries, as deep as the metrics look, and judge the documents that it finds.

    A document is relevant from the grade `level` on (see `judge`). With `leave_self_out` a query that is itself a
    document, of the same id, is neither found nor relevant, as ArguAna has it: later documents move up.
    """
    k = max(metric.k for metric in metrics)
    relevant, own_ids = queries.relevant, [frozenset[str]()] * len(queries)
    if leave_self_out:
        own_ids = [frozenset((id, *queries.joined_ids.get(id, ()))) for id in queries.query_ids]
        relevant = tuple(
            {doc_id: grade for doc_id, grade in grades.items() if doc_id not in own}
            for grades, own in zip(relevant, own_ids, strict=True)
        )
    most_left_out = max(map(len, own_ids), default=0)
    hits = {}
    for name, retriever in retrievers.items():
        found = _ask(name, retriever, queries.texts, k + most_left_out, progress)
        hits[name] = [
            [hit for hit in each if hit.doc_id not in own][:k] for each, own in zip(found, own_ids, strict=True)
        ]
    judged = {
        name: judge(
            queries.query_ids,
            [[hit.doc_id for hit in each] for each in found],
            relevant,
            metrics,
            level=level,
            seed=seed,
        )
        for name, found in hits.items()
    }
    differences = differences_to_first(judged, [str(metric) for metric in metrics], seed=seed)
    notes = [*queries.notes, *next(iter(judged.values())).notes, *_notes_of_words(retrievers, queries.texts)]
    if level > 0:
        notes.append(f"documents of a grade of {level:g} or more are relevant; ndcg takes the grades as they are")
    if leave_self_out:
        notes.append("a query that is itself a document does not find it")
    return Evaluation(judged, differences, hits, tuple(notes))


def _notes_of_words(retrievers: Mapping[str, Retriever], texts: Sequence[str]) -> list[str]:
    """How many queries each retriever that goes by words has nothing to go by for."""
    counts = {name: len(r.without_words(texts)) for name, r in retrievers.items() if isinstance(r, ByWords)}
    return [
        f"{count:,} of {len(texts):,} queries have no word that any document has, so {name} finds nothing by words"
        for name, count in counts.items()
        if count
    ]


def _ask(name: str, retriever: Retriever, texts: Sequence[str], k: int, progress: Progress | None) -> list[list[Hit]]:
    """The first k for every text, asked in parts so that progress shows."""
    hits: list[list[Hit]] = []
    for start in range(0, len(texts), AT_ONCE):
        if progress is not None:
            progress.count(f"asking {name}", start, len(texts), "queries")
        hits += retriever.search(texts[start : start + AT_ONCE], k)
    if progress is not None:
        progress.count(f"asking {name}", len(texts), len(texts), "queries")
    return hits
