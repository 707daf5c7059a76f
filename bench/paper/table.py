"""A table of systems: ours beside the paper's, with seeds, intervals, tests against the best, and costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from bench.paper.answers import Answered
from lmindexer.evaluation.metrics import Judged, mean_of
from lmindexer.evaluation.significance import SIGNIFICANT, cell, p_to_best
from lmindexer.tables import table

NOT_RUN = "not run"


@dataclass(frozen=True)
class Row:
    """A system by name: its answers, one a seed, or why there are none; and the paper's numbers by metric."""

    name: str
    answers: Sequence[Answered] = ()
    paper: Mapping[str, float] = field(default_factory=dict)
    why_not: str = ""

    def judged(self, part: str) -> Judged:
        """Every question's mean over the seeds."""
        return mean_of([answered.judged[part] for answered in self.answers])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        runs = [answered.to_dict() for answered in self.answers]
        return {"name": self.name, "paper": dict(self.paper), "why_not": self.why_not, "runs": runs}


def quality(rows: Sequence[Row], part: str, metrics: Sequence[str], title: str) -> list[str]:
    """A line a system: means (intervals) p, and the paper's numbers behind those metrics that it has."""
    judged = {row.name: row.judged(part) for row in rows if row.answers}
    p_values = p_to_best(judged, metrics) if judged else {}
    published = [metric for metric in metrics if any(metric in row.paper for row in rows)]
    head = [title]
    for metric in metrics:
        head += [metric, "paper"] if metric in published else [metric]
    lines = []
    for row in rows:
        cells = [row.name]
        for metric in metrics:
            cells.append(_cell(row, judged[row.name], part, metric, p_values[metric]) if row.answers else NOT_RUN)
            if metric in published:
                cells.append(f"{row.paper[metric]:.4f}" if metric in row.paper else "")
        lines.append(cells)
    return table(head, lines)


def _cell(row: Row, judged: Judged, part: str, metric: str, p_values: Mapping[str, float]) -> str:
    means = [answered.judged[part].means[metric] for answered in row.answers]
    spread = f" ± {stdev(means):.4f}" if len(means) > 1 else ""
    alike = [name for name, p_holm in p_values.items() if p_holm >= SIGNIFICANT]
    is_bold = len(alike) < len(p_values) and (row.name not in p_values or row.name in alike)
    return cell(judged, metric, p_values.get(row.name), is_bold, spread)


def about_quality(rows: Sequence[Row], part: str, metrics: Sequence[str], seeds: int) -> str:
    """What the numbers of `quality` are, in sentences."""
    systems = sum(bool(row.answers) for row in rows)
    tests = max(systems - 1, 0) * len(metrics)
    queries = next((len(row.answers[0].judged[part].query_ids) for row in rows if row.answers), 0)
    over = f", ± standard deviations over {seeds} seeds, tests and intervals of each question's mean" * (seeds > 1)
    return (
        f"Means of {queries:,} questions, in brackets 95 % intervals over questions{over}. p: how often as large a "
        f"difference to the best of the column comes by chance (paired sign-flip test, two-sided, adjusted by Holm for "
        f"the {tests} tests of the table). Bold: the best, and what the test does not tell apart from it."
    )


def costs(rows: Sequence[Row]) -> list[str]:
    """A line a system: what it takes to learn, to teach and to ask; means over seeds."""
    times = ("minutes for IDs", "minutes of teaching", "ms a question, alone", "in parts of 256")
    lines = []
    for row in rows:
        if not row.answers:
            lines.append((row.name, *[NOT_RUN] * 5, "0"))
            continue
        of_seeds = row.answers
        lines.append((
            row.name,
            f"{round(mean(one.cost.parameters for one in of_seeds)):,}",
            f"{mean(one.learning for one in of_seeds) / 60:.1f}",
            f"{mean(one.teaching for one in of_seeds) / 60:.1f}",
            f"{mean(one.cost.alone for one in of_seeds):.1f}",
            f"{mean(one.cost.together for one in of_seeds):.1f}",
            str(len(of_seeds)),
        ))  # fmt: skip
    return table(("", "parameters", *times, "seeds"), lines)
