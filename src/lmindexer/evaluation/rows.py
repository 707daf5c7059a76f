"""A measure of several runs side by side: one row of the table of `compare`, as Markdown and as JSON."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.evaluation.bootstrap import Interval
from lmindexer.tables import table

FORMS: dict[str, Callable[[float], str]] = {
    "fraction": lambda value: _fraction(value),
    "share": lambda value: f"{value:.1%}",
    "count": lambda value: f"{value:,.0f}",
    "perplexity": lambda value: f"{value:.1f}" if value < 10 else f"{value:,.0f}",
}


@dataclass(frozen=True)
class Row:
    """`values` go by run, as all tuples here; nan and None = nothing to tell."""

    section: str
    measure: str  # its name in JSON: "ami"
    title: str  # its name for people: "AMI(c1, leaf: 245 labels)"
    values: tuple[float, ...]
    form: str  # of FORMS
    better: int = 0  # 1: high is better, -1: low is, 0: neither
    depth: int | None = None  # how many codes it is about, or which position
    level: int | str | None = None  # of the labels
    judge: str | None = None  # of the neighbours
    intervals: tuple[Interval | None, ...] = ()
    differences: tuple[Interval | None, ...] = ()  # of each run to the first, in the same resamples
    is_shown: bool = True  # in Markdown; JSON has all
    like_best: tuple[bool, ...] = ()  # whether 0 is in the interval of the difference to the best run

    @property
    def compares(self) -> bool:
        """Say whether at least two runs have a value; a single run always compares."""
        return sum(map(math.isfinite, self.values)) >= min(2, len(self.values))

    def cells(self) -> list[str]:
        """Write every run's value with its interval; bold are the best and its equals, unless all are equal."""
        cells = [FORMS[self.form](value) if math.isfinite(value) else "-" for value in self.values]
        signed = [self.better * value for value in self.values if math.isfinite(value)]
        if self.better and len(set(cells) - {"-"}) > 1:
            best = FORMS[self.form](self.better * max(signed))
            like_best = self.like_best or (False,) * len(cells)
            bold = [cell == best or like for cell, like in zip(cells, like_best, strict=True)]
            if not all(is_bold or cell == "-" for is_bold, cell in zip(bold, cells, strict=True)):
                cells = [f"**{cell}**" if is_bold else cell for cell, is_bold in zip(cells, bold, strict=True)]
        for n, interval in enumerate(self.intervals):
            if interval is not None:
                cells[n] += f" ({span(interval, self.form)})"
        return cells

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; only what the measure has."""
        facts: dict[str, Any] = {"section": self.section, "measure": self.measure, "title": self.title}
        named = {"depth": self.depth, "level": self.level, "judge": self.judge}
        facts |= {name: value for name, value in named.items() if value is not None}
        facts["values"] = [float(value) if math.isfinite(value) else None for value in self.values]
        if self.intervals:
            facts["intervals"] = [interval and [interval.low, interval.high] for interval in self.intervals]
            facts["differences_to_first"] = [
                interval and [interval.low, interval.high] for interval in self.differences
            ]
        return facts


def to_table(heads: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The lines of a Markdown table with a row for every measure and a column for every run, in sections."""
    lines: list[tuple[str, ...]] = []
    section = ""
    for row in rows:
        if row.is_shown:
            if row.section != section:
                section = row.section
                lines.append((f"*{section}*", *[""] * len(heads)))
            lines.append((row.title, *row.cells()))
    return table(("", *heads), lines, spaced=True)


def path_name(depth: int) -> str:
    """The first `depth` codes as people call them: c1, (c1, c2)."""
    return "c1" if depth == 1 else "(" + ", ".join(f"c{t}" for t in range(1, depth + 1)) + ")"


def level_name(level: int | None) -> str:
    """A level of the labels: how many parts, or all."""
    return "leaf" if level is None else f"level {level}"


def span(interval: Interval, form: str = "fraction") -> str:
    """Write an interval as its two ends with a dash between."""
    return f"{FORMS[form](interval.low)}\N{EN DASH}{FORMS[form](interval.high)}"


def _fraction(value: float) -> str:
    """Write three decimals, no 0 before the point, and no minus before a zero."""
    rounded = round(value, 3) + 0.0
    return f"{rounded:.3f}".replace("0.", ".", 1) if abs(rounded) < 1 else f"{rounded:.3f}"
