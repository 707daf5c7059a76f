"""Questions on standard input, one a line: all that can be answered are, and the others are named."""

import sys
from collections.abc import Callable

import click

from lmindexer.errors import InputError


def answer_lines(answer: Callable[[str], None], behind: str) -> bool:
    """Answer every line of standard input as it comes, with `behind` printed after each; whether all could be.

    A line that could not is named on standard error.
    """
    if sys.stdin.isatty():
        click.echo("one question a line; Ctrl-D ends", err=True)
    number = failed = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            answer(_question(line, first=number == 1))
        except InputError as error:
            failed += 1
            click.echo(f"lmindexer: {InputError(f'line {number}: {error}')}", err=True)  # as short as any other
        click.echo(behind, nl=False)
    if failed:
        click.echo(f"lmindexer: {failed:,} of {number:,} lines could not be answered", err=True)
    return not failed


def _question(line: bytes, first: bool) -> str:
    """Read the question of a line. Raises InputError where the line is empty, or no UTF-8."""
    try:
        text = line.decode("utf-8-sig" if first else "utf-8").strip()
    except UnicodeDecodeError:
        raise InputError("it is not UTF-8; save the questions in that encoding") from None
    if not text:
        raise InputError("it is empty; write one question a line")
    return text
