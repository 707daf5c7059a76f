"""What several verbs do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.errors import InputError
from lmindexer.files import write_text

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus


def tell_skipped(corpus: "Corpus") -> None:
    """How many records were left out, and why, on standard error."""
    for reason, count in corpus.skipped_reasons.items():
        click.echo(f"skipped {count:,}: {reason}", err=True)


def make_room(out: Path) -> None:
    """The folder of a file to be written, made where it is missing."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder of --out {out} ({error.strerror}); choose another") from None


def format_of(path: Path) -> str:
    """The end of a file's name, such as jsonl."""
    return path.suffix.lstrip(".").lower()


def names_of(runs: Sequence[Path]) -> list[str]:
    """A short name a run: its folder's, or its whole path where two folders have one name."""
    short = [run.resolve().name for run in runs]
    names = [name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"the run {name} is named twice; name each once")
    return names


def write_or_print(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text)
    else:
        write_text(out, text if text.endswith("\n") else text + "\n")
        click.echo(str(out), err=True)
