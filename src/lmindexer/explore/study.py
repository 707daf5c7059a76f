"""Figures 5, 7 and 8: what a setting does to search and recommendation; SVG and PNG, with their points as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval
from lmindexer.explore.drawing import COLOURS, MARKERS, PAGE, legend_below, new_figure, save, style
from lmindexer.files import write_text
from lmindexer.tables import table

Point = tuple[float, Interval | None]  # a mean over questions, and its interval


@dataclass(frozen=True)
class Panel:
    """The metrics of one task at each value of one setting."""

    title: str
    axis: str  # what the setting is
    points: Mapping[str, Mapping[int, Point]]  # by metric and value of the setting

    def rows(self) -> list[tuple[str, str, int, str, float, float | None, float | None]]:
        """A row a point: title, setting, its value, metric, mean, and the ends of the interval where there is one."""
        rows = []
        for metric, by_value in self.points.items():
            for value, (mean, interval) in by_value.items():
                ends = (None, None) if interval is None else (interval.low, interval.high)
                rows.append((self.title, self.axis, value, metric, mean, *ends))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        names = ("value", "metric", "mean", "low", "high")
        points = [dict(zip(names, row[2:], strict=True)) for row in self.rows()]
        return {"title": self.title, "axis": self.axis, "points": points}


def write_points(panels: Sequence[Panel], path: Path) -> list[str]:
    """All points as CSV; the lines of the same as a table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("data", "setting", "value", "metric", "mean", "low", "high")
    writer.writerow(head)
    rows = [row for panel in panels for row in panel.rows()]
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
    cells = [(*map(str, row[:4]), *("" if number is None else f"{number:.4f}" for number in row[4:])) for row in rows]
    return table(head, cells, texts=(0, 1, 3))


def setting_curves(panels: Sequence[Panel], stem: Path) -> tuple[Path, Path]:
    """A panel a task and setting, a line a metric, with 95 % intervals; the axis of what is measured begins at 0.

    Values of a setting stand at even distances. Raises InputError where there is nothing to draw.
    """
    if not any(by_value for panel in panels for by_value in panel.points.values()):
        raise InputError("there is no point to draw; give at least one run at one setting")
    metrics = list(dict.fromkeys(metric for panel in panels for metric in panel.points))
    lines: dict[str, Any] = {}
    with style([panel.title for panel in panels]):
        drawing = new_figure(PAGE if len(panels) > 1 else PAGE / 2, 2.3)
        for panel, axis in zip(panels, drawing.subplots(1, len(panels), squeeze=False)[0], strict=True):
            values = sorted({value for by_value in panel.points.values() for value in by_value})
            for metric, by_value in panel.points.items():
                n = metrics.index(metric)
                places = [values.index(value) for value in by_value]
                means = [mean for mean, _ in by_value.values()]
                lines[metric] = axis.errorbar(
                    places, means, yerr=_bars(by_value.values()), color=COLOURS[n % len(COLOURS)],
                    marker=MARKERS[n % len(MARKERS)], capsize=2, elinewidth=0.7,
                )  # fmt: skip
            axis.set_xticks(range(len(values)), [f"{value:,}" for value in values])
            axis.set_xlim(-0.3, len(values) - 0.7)
            axis.set_ylim(0)
            axis.set_xlabel(panel.axis)
            axis.set_title(panel.title, loc="left")
            axis.grid(alpha=0.25, linewidth=0.5)
        legend_below(drawing, [lines[metric] for metric in metrics], metrics)
        return save(drawing, stem)


def _bars(points: Iterable[Point]) -> list[list[float]]:
    """How far each interval reaches below and above its mean."""
    points = list(points)
    below = [0.0 if interval is None else mean - interval.low for mean, interval in points]
    above = [0.0 if interval is None else interval.high - mean for mean, interval in points]
    return [below, above]
