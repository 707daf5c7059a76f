"""What several verbs do."""

import csv
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.options import option, together
from lmindexer.errors import InputError, excerpt
from lmindexer.files import write_text
from lmindexer.progress import Progress
from lmindexer.tables import show

if TYPE_CHECKING:
    from lmindexer.corpus.document import Document
    from lmindexer.corpus.documents import Corpus
    from lmindexer.runs import Run


TABLE_ENDS = {".md": "markdown", ".txt": "markdown", "": "markdown", ".json": "json"}  # of files with a table in them


@contextmanager
def steps(lines: bool = False) -> Iterator[Progress]:
    """Show a user at a terminal what is done now; elsewhere print notes and warnings alone, or all lines that stay."""
    progress = Progress(sys.stderr if lines or sys.stderr.isatty() else None, warnings=sys.stderr)
    try:
        yield progress
    finally:
        progress.clear()


# How the files of documents are read; the values are keywords of `Corpus.read`.
how_to_read = together(
    option("--skip-bad", is_flag=True, help="Leave out broken records and count them, instead of stopping."),
    option("--keep-empty", is_flag=True, help="Give an ID also to documents without any text."),
    option("--keep-markup", is_flag=True, help="Leave HTML tags and entities as they are."),
    option("--keep-going", is_flag=True, help="Go on even if --skip-bad leaves out most records."),
)

# The vectors of later documents.
their_vectors = option(
    "--embeddings", type=click.Path(path_type=Path), metavar="TEXT",
    help="The vectors of new documents, .parquet, .npy or .npz, where RUN was learned from such a file.",
)  # fmt: skip

READ_BY = ("skip_bad", "keep_empty", "keep_markup", "keep_going")  # of `how_to_read`


def columns_in(text: str) -> tuple[str, ...]:
    """The columns of a list with commas between them; none of an empty one."""
    return tuple(map(str.strip, text.split(","))) if text else ()


def document_line(document: "Document", path: Sequence[int]) -> str:
    """Write a document behind its ID, where it has one, as a line for the screen."""
    place = f"{'.'.join(map(str, path)):12}  " if path else ""
    return f"{place}{document.id}  {' '.join(document.text.split())[:90]}"


def read_like(run: "Run", files: Sequence[Path], id: str, text: str, label: str, reading: dict[str, Any]) -> "Corpus":
    """The documents of `files`, from the columns that `run` was learned from where others are not named.

    Where it was learned from vectors, no text is needed.
    """
    from lmindexer.indexers.store import read_like as read

    return read(run, files, columns_in(text), id, label, **reading)


def tell_skipped(corpus: "Corpus") -> None:
    """Print how many records were left out and why, and the notes on the files, to standard error."""
    for note in corpus.notes:
        click.echo(f"note: {note}", err=True)
    for reason, count in corpus.skipped_reasons.items():
        click.echo(f"skipped {count:,}: {reason}", err=True)


def make_room(out: Path, flag: str = "--out") -> None:
    """Make the folder of a file that is to be written, where it is missing; `flag` is what named the file."""
    if out.is_dir():
        raise InputError(f"{flag} {out} is a folder; name a file in it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder of {flag} {out} ({error.strerror}); choose another") from None


def format_to_write(out: Path | None, named: str | None, ends: Mapping[str, str], usual: str) -> str:
    """Choose what to write: what --format `named`, else what the end of `out` means by `ends`, else the `usual`.

    Raises InputError where the two contradict each other, or neither says.
    """
    if out is None:
        return named or usual
    meant = ends.get(out.suffix.lower())
    if named is None and meant is None:
        known = ", ".join(end for end in ends if end)
        raise InputError(f"cannot tell the format of --out {out}; end it in one of {known}, or give --format")
    if named is not None and out.suffix and meant not in (None, named):
        raise InputError(f"--out {out} is {meant} by its name and --format says {named}; leave one of them out")
    return named or meant or usual


def print_markdown(text: str) -> None:
    """Print a Markdown text; on a terminal its tables are aligned and its bold words bold."""
    if sys.stdout.isatty():
        show(text, sys.stdout)
    else:
        click.echo(text)


def write_or_print(text: str, kind: str, out: Path | None) -> None:
    """Write a text, of the kind that `format_to_write` gave, into the file, or on the screen where `out` is None."""
    if out is None and kind == "markdown":
        print_markdown(text)
    elif out is None:
        click.echo(text)
    else:
        write_text(out, text if text.endswith("\n") else text + "\n")
        click.echo(str(out), err=True)


def ids_in(text: str, known: Container[str]) -> list[str]:
    """Read a list of document ids with commas between them.

    A text that is itself one of the `known` ids is that one. Else an id with a comma stands in quotation marks, as in
    CSV: "a,b",c are the two ids a,b and c, and a quotation mark within them is doubled.
    """
    if text.strip() in known:
        return [text.strip()]
    try:
        (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise InputError(
            f"{excerpt(text)} is no list of ids ({error}); put an id with a comma into quotation marks, "
            'and double those within it: "a,b",c'
        ) from None
    return [part.strip() for part in parts if part.strip()]


def lines_of(path: Path) -> list[str]:
    """Read a file with one document id a line; empty lines do not count."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; give a text file with one document id a line") from None
