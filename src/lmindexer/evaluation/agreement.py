"""How far the IDs of several runs agree with labels and with nearest neighbours, with intervals (section 4.2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lmindexer.evaluation.bootstrap import Interval, mean_intervals
from lmindexer.evaluation.halves import interval, label_replicates, precision_scale
from lmindexer.evaluation.rows import Row, level_name, path_name
from lmindexer.ids.quality import LabelQuality, QualityReport, label_ids, neighbours_found
from lmindexer.ids.table import IdTable, path_ids

LABELS, NEAR = "Labels", "Nearest neighbours"
AMI, PRECISION = "ami", "hierarchical_precision"


def by_depth(tables: Sequence[IdTable], value: Callable[[int, int], float]) -> list[tuple[float, ...]]:
    """Ask `value` for every run n at every depth d: a tuple a depth, with nan for runs of fewer positions."""
    deepest = max(len(table.sizes) for table in tables)
    return [
        tuple(value(n, depth) if depth <= len(table.sizes) else math.nan for n, table in enumerate(tables))
        for depth in range(1, deepest + 1)
    ]


def label_rows(
    tables: Sequence[IdTable],
    quality: Sequence[QualityReport],
    labels: Sequence[tuple[str, ...]],
    perplexities: Sequence[Row],
    resamples: int,
    seed: int,
) -> list[Row]:
    """Make the rows on labels: at every depth the perplexity, then AMI and then precision of every level.

    The first level, a middle one and the leaf are shown. `quality` has the values, `labels` (N) go by row.
    """
    levels = quality[0].labels
    shown = {levels[0].level, levels[len(levels) // 2].level, levels[-1].level}
    is_labelled = np.array([bool(label) for label in labels])
    N = int(is_labelled.sum())
    numbers = [label_ids(labels, level.level)[is_labelled] for level in levels]
    codes = [table.codes[is_labelled] for table in tables]
    places = {}  # of (run, depth) in prefixes
    prefixes: list[np.ndarray] = []
    for n, table in enumerate(tables):
        for depth in range(1, len(table.sizes) + 1):
            places[n, depth] = len(prefixes)
            prefixes.append(path_ids(codes[n][:, :depth]))
    replicates = label_replicates(numbers, prefixes, resamples, seed)

    def row(measure: str, i: int, depth: int) -> Row:
        drawn = replicates.ami[i] if measure == AMI else replicates.precision[i]  # (prefixes, R)
        has = [n for n in range(len(tables)) if (n, depth) in places]
        values = {n: float(getattr(quality[n].labels[i], measure)[depth - 1]) for n in has}

        def scale(place: int, other: int | None) -> float:
            if measure == AMI or not resamples:
                return 1.0
            return precision_scale(numbers[i], prefixes[place], None if other is None else prefixes[other])

        def between(n: int, other: int | None) -> Interval | None:
            """The interval of run n, or of what it has more than another."""
            place = places[n, depth]
            if other is None:
                bounds = (-1.0 if measure == AMI else 0.0, 1.0)
                return interval(values[n], drawn[place], N, scale(place, None), bounds)
            other_place = places[other, depth]
            return interval(values[n] - values[other], drawn[place] - drawn[other_place], N, scale(place, other_place))

        level, title = levels[i].level, _title(measure, levels[i], depth)
        row = Row(LABELS, measure, title, (), "fraction", 1, depth, level or "leaf", is_shown=level in shown)
        return _row(row, len(tables), values, between)

    rows: list[Row] = []
    for depth, perplexity_row in enumerate(perplexities, start=1):
        rows.append(perplexity_row)
        for measure in (AMI, PRECISION):
            rows += [row(measure, i, depth) for i in range(len(levels))]
    return rows


def neighbour_rows(tables: Sequence[IdTable], judge: str, nearest: np.ndarray, resamples: int, seed: int) -> list[Row]:
    """Make a row a depth: how many of the `nearest` (N, k), as `judge` says, share the codes."""
    asked = np.flatnonzero((nearest >= 0).any(1))
    rows = []
    for depth in range(1, max(len(table.sizes) for table in tables) + 1):
        has = [n for n, table in enumerate(tables) if depth <= len(table.sizes)]
        found = [neighbours_found(nearest, tables[n].codes, depth) for n in has]
        parts = np.column_stack([part[asked] for part, _ in found])  # (asked, runs that are so deep)
        wholes = found[0][1][asked]
        values = {n: float(parts[:, i].sum() / wholes.sum()) if len(asked) else math.nan for i, n in enumerate(has)}
        title = f"10 nearest by {judge} that share {path_name(depth)}"
        row = Row(NEAR, "neighbour_recall", title, (), "fraction", 1, depth, judge=judge)
        rows.append(
            _row(
                row,
                len(tables),
                values,
                _between_recalls(dict(zip(has, parts.T, strict=True)), wholes, resamples, seed),
            )
        )
    return rows


def _between_recalls(
    parts: dict[int, np.ndarray], wholes: np.ndarray, resamples: int, seed: int
) -> Callable[[int, int | None], Interval | None]:
    """With other documents asked; who can be found stays."""

    def between(n: int, other: int | None) -> Interval | None:
        found, bounds = (parts[n], (0.0, 1.0)) if other is None else (parts[n] - parts[other], (-1.0, 1.0))
        return mean_intervals(found[:, None], bounds, resamples, seed, wholes)[0]

    return between


def _row(
    row: Row,
    runs: int,
    values: dict[int, float],
    between: Callable[[int, int | None], Interval | None],
) -> Row:
    """`row` with values, intervals, differences to run 0 and who is like the best, of the runs that have a value."""
    best = max(values, key=lambda n: row.better * values[n])

    def is_like_best(n: int) -> bool:
        return n == best or (n in values and (apart := between(n, best)) is not None and apart.has_zero)

    return replace(
        row,
        like_best=tuple(is_like_best(n) for n in range(runs)),
        values=tuple(values.get(n, math.nan) for n in range(runs)),
        intervals=tuple(between(n, None) if n in values else None for n in range(runs)),
        differences=tuple(between(n, 0) if n and n in values and 0 in values else None for n in range(runs)),
    )


def _title(measure: str, level: LabelQuality, depth: int) -> str:
    level_title = level_name(level.level)
    if measure == AMI:
        return f"AMI({path_name(depth)}, {level_title}: {level.distinct:,} labels)"
    return f"same {level_title} label if same {path_name(depth)} (any two: {level.precision_by_chance:.1%})"
