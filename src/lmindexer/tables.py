"""Tables: the one place that writes them as Markdown, and that shows Markdown on a terminal."""

import re
from collections.abc import Container, Iterable, Sequence
from typing import TextIO

_NO_MARKUP = re.compile(r"[<&_~`\[]")  # no text here means these as Markdown; * and | mark what is bold, and cells


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Container[int] = (0,), spaced: bool = False
) -> list[str]:
    """The lines of a Markdown table, one cell a column in `head` and in every row.

    Columns whose numbers are in `texts`, from 0, are flush left; the others are numbers, flush right. `spaced` puts
    blanks into the rule below the head, too.
    """
    return [*head_lines(head, texts=texts, spaced=spaced), *map(line, rows)]


def head_lines(head: Sequence[str], *, texts: Container[int] = (0,), spaced: bool = False) -> list[str]:
    """The first two lines of a table, as in `table`; for one whose rows come later, one by one."""
    rule = ["---" if column in texts else "---:" for column in range(len(head))]
    return [line(head), line(rule) if spaced else "|" + "|".join(rule) + "|"]


def line(cells: Sequence[str]) -> str:
    """A line of a Markdown table; a | within a cell is escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def show(text: str, terminal: TextIO) -> None:
    """Print a Markdown text on a terminal, as wide as that is: columns aligned, bold words bold."""
    from rich.console import Console
    from rich.markdown import Markdown

    Console(file=terminal).print(Markdown(_NO_MARKUP.sub(r"\\\g<0>", text)))
