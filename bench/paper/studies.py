"""One setting of LMIndexer at a time, and what it does to search and recommendation: Table 5, Figures 5, 7 and 8."""

from collections.abc import Callable, Mapping
from typing import Any

from bench.paper.answers import Exam
from bench.paper.bench import Bench
from bench.paper.ids import COLUMNS, Rows, ids_table, shown
from bench.paper.report import Report
from bench.paper.rows import System
from bench.paper.systems import recommending, rows_of, searching
from bench.paper.table import about_quality, quality
from lmindexer.errors import InputError
from lmindexer.explore.study import Panel, setting_curves, write_points

PART = {"recommend": "as_is", "search": "all"}
METRICS = {"recommend": ("recall@5", "ndcg@5"), "search": ("ndcg@5", "map@5")}
TABLE5: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "reconstructor of 1 layer": ({}, {"beauty": 0.3563}),
    "2 layers": ({"reconstructor_layers": 2}, {"beauty": 0.2390}),
    "3 layers": ({"reconstructor_layers": 3}, {"beauty": 0.1679}),
}
PAPER5 = {
    "reconstructor of 1 layer": {"beauty": {"recall@5": 0.0415, "ndcg@5": 0.3187}},
    "2 layers": {"beauty": {"recall@5": 0.0284, "ndcg@5": 0.2528}},
    "3 layers": {"beauty": {"recall@5": 0.0281, "ndcg@5": 0.2522}},
}
TASK_OF_PAPER5 = {"recommend": "recall@5", "search": "ndcg@5"}
LENGTHS = (1, 2, 3)
CODES = (128, 256, 512)


def table5(bench: Bench) -> Report:
    """Layers of the reconstructor: the IDs, and what they are worth in each task that there are data for."""
    ids = ids_table(bench, TABLE5, {name: COLUMNS[name] for name in list(COLUMNS)[:2]})
    lines, facts = list(ids.lines), dict(ids.facts)
    for task, exam in _tasks(bench).items():
        metric = TASK_OF_PAPER5[task]
        systems = {
            name: System(name, "generative", {d: {metric: n[metric]} for d, n in PAPER5[name].items()}, changes)
            for name, (changes, _) in TABLE5.items()
        }
        found = rows_of(bench, systems, exam)
        lines += ["", *quality(found, PART[task], [metric], f"{bench.data.name}, {task}")]
        lines += ["", about_quality(found, PART[task], [metric], len(bench.seeds))]
        facts[task] = [row.to_dict() for row in found]
    return Report(lines, facts)


def figure5(bench: Bench) -> Report:
    """How many positions an ID has, and how many codes a position: recommendation."""
    exam = {"recommend": recommending(bench)}
    lengths, sizes = _study(bench, exam, "T", _lengths(bench)), _study(bench, exam, "K", _sizes(bench))
    return _figure(bench, "figure5", [*lengths, *sizes])


def figure7(bench: Bench) -> Report:
    """How many positions an ID has: recommendation."""
    return _figure(bench, "figure7", _study(bench, {"recommend": recommending(bench)}, "T", _lengths(bench)))


def figure8(bench: Bench) -> Report:
    """How many codes a position has: the IDs, and each task that there are data for."""
    sizes = _sizes(bench)
    rows: Rows = {f"K = {size}": (changes, {}) for size, changes in sizes.items()}
    ids = ids_table(bench, rows, COLUMNS)
    tasks = _tasks(bench)
    if not tasks:
        return ids
    drawn = _figure(bench, "figure8", _study(bench, tasks, "K", sizes))
    return Report([*ids.lines, "", *drawn.lines], {**ids.facts, **drawn.facts})


def _tasks(bench: Bench) -> dict[str, Exam]:
    """What can be asked of these data, by task."""
    ways: Mapping[str, tuple[object, Callable[[Bench], Exam]]] = {
        "recommend": (bench.data.sequences, recommending),
        "search": (bench.data.queries, searching),
    }
    return {task: make(bench) for task, (data, make) in ways.items() if data is not None}


def _lengths(bench: Bench) -> dict[int, dict[str, Any]]:
    """Settings by number of learned positions, each of as many codes as the first has."""
    return {length: _changes(bench, (bench.config.sizes[0],) * length) for length in LENGTHS}


def _sizes(bench: Bench) -> dict[int, dict[str, Any]]:
    """Settings by codes a position."""
    return {size: _changes(bench, (size,) * len(bench.config.sizes)) for size in CODES}


def _changes(bench: Bench, sizes: tuple[int, ...]) -> dict[str, Any]:
    return {} if sizes == bench.config.sizes else {"sizes": sizes}


def _study(bench: Bench, tasks: Mapping[str, Exam], letter: str, settings: Mapping[int, dict[str, Any]]) -> list[Panel]:
    """A panel a task: its metrics, mean and interval, at every setting."""
    axis = {"T": "learned positions T, beside the suffix", "K": "codes a position K"}[letter]
    panels = []
    for task, exam in tasks.items():
        systems = {
            f"{letter} = {n}": System(f"{letter} = {n}", "generative", changes=changes)
            for n, changes in settings.items()
        }
        rows = [row for row in rows_of(bench, systems, exam) if row.answers]
        if not rows:
            raise InputError(f"no setting of {letter} could be run; see the lines above")
        judged = {int(row.name.partition(" = ")[2]): row.judged(PART[task]) for row in rows}
        points = {
            metric: {n: (of_row.means[metric], of_row.intervals[metric]) for n, of_row in judged.items()}
            for metric in METRICS[task]
        }
        panels.append(Panel(f"{bench.data.name}, {task}", axis, points))
    return panels


def _figure(bench: Bench, name: str, panels: list[Panel]) -> Report:
    """The picture, its points as CSV beside it, and as a table."""
    stem = bench.folder / name
    lines = [*write_points(panels, stem.with_suffix(".csv")), "", str(stem.with_suffix(".csv"))]
    lines += shown(setting_curves(panels, stem))
    return Report(lines, {"panels": [panel.to_dict() for panel in panels]})
