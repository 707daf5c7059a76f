"""What preparing a data set gives: counts beside the paper's, the rules that were followed, and what to type next."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TypeVar

from lmindexer.progress import Progress
from lmindexer.tables import table

T = TypeVar("T")
SHOWN = 100_000  # records between two states of the live line


@dataclass(frozen=True)
class Count:
    """A number of the prepared set, and what Table 7 or 8 of the paper has there."""

    what: str
    ours: int
    paper: int | None = None


@dataclass(frozen=True)
class Prepared:
    """What was made of some raw files. In `commands`, DATA stands for the folder that was written."""

    sources: tuple[Path, ...]
    counts: tuple[Count, ...]
    rules: tuple[str, ...]  # filters, splits and seeds, in sentences
    commands: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what was left out, was there twice or is missing


def commands_on(prepared: Prepared, folder: Path) -> list[str]:
    """What to type next, where the prepared set is in this folder."""
    return [command.replace("DATA", quote(str(folder))) for command in prepared.commands]


def run_name(name: str) -> str:
    """A name of a set as that of a run in a command: without white space and signs that a shell reads."""
    return re.sub(r"[^\w.-]+", "-", name) or "run"


def counts_table(counts: tuple[Count, ...]) -> str:
    """Ours and the paper's side by side, in Markdown; without the paper's column where it has no number."""
    if all(count.paper is None for count in counts):
        return "\n".join(table(["", "ours"], ([count.what, f"{count.ours:,}"] for count in counts)))
    rows = ([count.what, f"{count.ours:,}", "" if count.paper is None else f"{count.paper:,}"] for count in counts)
    return "\n".join(table(["", "ours", "paper"], rows))


def counted(found: Iterator[T], progress: Progress, stage: str, unit: str) -> Iterator[T]:
    """The same, while a user sees how many there were."""
    for number, one in enumerate(found, 1):
        if number % SHOWN == 0:
            progress.count(stage, number, None, unit)
        yield one
