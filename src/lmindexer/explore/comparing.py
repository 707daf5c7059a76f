"""Runs side by side: their IDs, judged by the same documents, and what each answered when it was evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmindexer.evaluation.comparison import Compared, Comparison
from lmindexer.evaluation.comparison import compare as compare_tables
from lmindexer.explore.report import report_of
from lmindexer.indexers.store import documents_and_ids, has_ids, load_ids, no_ids
from lmindexer.judging.compared import ComparedResults, compare_results
from lmindexer.progress import Progress
from lmindexer.runs import Run


@dataclass(frozen=True)
class RunComparison:
    """What `compare_runs` found: of the IDs, None where a run has none, and of evaluations that the runs keep."""

    ids: Comparison | None
    evaluated: ComparedResults
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return (self.ids.to_dict() if self.ids is not None else {}) | self.evaluated.to_dict()

    def to_markdown(self) -> str:
        """The tables, one of the IDs and one for each system that all runs were asked by."""
        return ((self.ids.to_markdown() if self.ids is not None else "") + self.evaluated.to_markdown()).lstrip("\n")

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.to_markdown()


def compare_runs(
    runs: Mapping[str, Run], *, embeddings: str = "", resamples: int = 200, progress: Progress | None = None
) -> RunComparison:
    """Compare runs by their names; those of the same documents belong together.

    With `embeddings` nearest neighbours of these vectors judge, too: of an encoder, a file, or "vectors", those that a
    run was learned from. `resamples` 0: no intervals. Raises InputError where a run has no IDs and nothing that was
    evaluated can be compared.
    """
    progress = progress or Progress(None)
    paths = {name: run.path for name, run in runs.items()}
    evaluated = compare_results(paths, resamples=1000 if resamples else 0)
    without = [run for run in runs.values() if not has_ids(run)]
    if without and not evaluated.blocks:
        raise no_ids(without[0])
    if without:
        return RunComparison(None, evaluated, (f"{without[0].path} has no IDs; what was evaluated is compared alone",))
    opened = list(runs.values())
    corpus, first = documents_and_ids(opened[0])
    tables, reports = [first, *map(load_ids, opened[1:])], [report_of(run) for run in opened]
    compared = [
        Compared(
            name=name,
            indexer=run.config.indexer,
            table=table,
            seconds=report.get("seconds"),
            agreement=report.get("agreement", {}).get("all"),
        )
        for (name, run), table, report in zip(runs.items(), tables, reports, strict=True)
    ]
    vectors = None
    if embeddings:
        from lmindexer.indexers.embeddings import judging_vectors  # torch

        vectors = judging_vectors(opened, corpus, embeddings, progress)
    progress.doing(f"judging the IDs of {len(runs)} runs")
    found = compare_tables(
        compared, corpus.texts(), corpus.labels, embeddings=vectors, embeddings_name=embeddings, resamples=resamples
    )
    return RunComparison(replace(found, warnings=(*_unlike(opened), *found.warnings)), evaluated)


def of_other_documents(runs: Sequence[Run]) -> list[Run]:
    """Find the runs that were learned from other ids or texts than the first, or in another order."""
    first, *others = (run.facts["corpus"]["fingerprint"] for run in runs)
    return [run for run, fingerprint in zip(runs[1:], others, strict=True) if fingerprint != first]


def _unlike(runs: Sequence[Run]) -> list[str]:
    """Say of which runs the first judges the IDs although they were learned from something else."""
    notes = [
        f"{run.path} was learned from other texts or in another order; the texts of {runs[0].path} judge it."
        for run in of_other_documents(runs)
    ]
    label = runs[0].config.label
    return notes + [
        f"{run.path} has labels from {run.config.label or 'no column'}; those of {runs[0].path}, from "
        f"{label or 'no column'}, judge it."
        for run in runs[1:]
        if run.config.label != label
    ]
