"""What a document is, and what its text must be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lmindexer.corpus.records import RecordError
from lmindexer.errors import excerpt

MAX_CHARACTERS = 1_000_000

LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can write one, UTF-8 cannot


@dataclass(frozen=True, repr=False)
class Document:
    id: str
    text: str
    label: tuple[str, ...] = ()  # a path from coarse to fine: ("Beauty", "Makeup", "Nails")

    def __repr__(self) -> str:
        label = f", {self.label!r}" if self.label else ""
        return f"Document({excerpt(self.id)}, {excerpt(self.text)}{label})"


def checked_text(parts: Sequence[str], source: str, keep_empty: bool = False) -> str:
    """The parts in one line, not too long for a document, and empty only where that is allowed."""
    text = clean(" ".join(filter(None, parts)))
    if not text and not keep_empty:
        way_out = "give every record some text, keep such records with --keep-empty"
        if any(parts):
            raise RecordError("only white space", f"there is only white space in {source}; {way_out}")
        raise RecordError("no text", f"there is no text in {source}; {way_out}")
    if len(text) > MAX_CHARACTERS:
        size = f"{len(text):,} characters of text, more than {MAX_CHARACTERS:,}"
        raise RecordError("text too long", f"there are {size}; split the document")
    return text


def clean(text: str) -> str:
    """Every run of white space and NULs becomes one space."""
    if not text.isascii():
        text = LONE_SURROGATE.sub("\ufffd", text)
    if "\0" in text:
        text = text.replace("\0", " ")
    return " ".join(text.split())
