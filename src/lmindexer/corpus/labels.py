"""A label is a path from coarse to fine. One parser for files, and for what a user asks for with --only."""

import re
from collections.abc import Sequence

_BETWEEN = re.compile(r"\s*(?:[-=]?>+|\|+|[\u203a\u00bb\u2192])\s*")  # also single and double angle quotes, an arrow
_UNSURE = re.compile(r" / | - |;|\\|::|\w/\w")  # what may part levels, or be part of a name


def parse_label(text: str) -> tuple[str, ...]:
    """The levels of "Makeup > Nails"; also of "Makeup>Nails", "Makeup >> Nails", "Makeup | Nails"."""
    return tuple(level for part in _BETWEEN.split(text) if (level := " ".join(part.split())))


def path_of(levels: Sequence[str]) -> tuple[str, ...]:
    """The path of a list of levels: one that is missing keeps its place as "", at the end it is left out."""
    path: list[str] = []
    for level in levels:
        path += parse_label(level) or [""]
    while path and not path[-1]:
        path.pop()
    return tuple(path)


def rows_labelled(labels: Sequence[tuple[str, ...]], wanted: str) -> list[int]:
    """The rows whose label (N) begins with the `wanted` one, such as "Makeup > Nails"."""
    paths = {parse_label(wanted), (wanted.strip(),)} - {()}  # the second: made in Python, with a > in it
    return [row for row, label in enumerate(labels) if any(label[: len(path)] == path for path in paths)]


def may_have_levels(label: Sequence[str]) -> bool:
    """Whether a label of one level looks as if it had more."""
    return len(label) == 1 and bool(_UNSURE.search(label[0]))
