"""What of a record is the id, what is the text, what is the label; and how each is cleaned."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.corpus.readers import Record, RecordError
from lmindexer.errors import InputError

ID_NAMES = ("id", "_id", "doc_id", "asin", "docid")
TEXT_NAMES = ("title", "text", "body", "abstract", "description", "contents")
MAX_CHARACTERS = 1_000_000

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can write one, UTF-8 cannot


@dataclass(frozen=True)
class Fields:
    """The columns of one file that make a document."""

    id: str
    text: tuple[str, ...]
    label: str  # "" where there is none

    @classmethod
    def choose(cls, path: Path, columns: dict[str, bool], *, id: str, text: Sequence[str], label: str) -> "Fields":
        """The named columns, which must exist; for those not named, the first usual names that do."""
        present = ", ".join(map(repr, columns))
        asked = [("id", id), *(("text", name) for name in text), ("label", label)]
        for use, name in asked:
            if name and name not in columns:
                message = f"{path} has no column {name!r} to take the {use} from; its columns are {present}"
                raise InputError(message)
        id = id or next((name for name in ID_NAMES if name in columns), "")
        if not id:
            raise InputError(f"{path} has none of the usual id columns; name one of {present} with --id")
        text = tuple(text) or tuple(name for name in TEXT_NAMES if columns.get(name))
        if not text:
            message = f"{path} has none of the usual text columns; name some of {present} with --text"
            raise InputError(message)
        return cls(id, text, label)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in (self.id, *self.text, self.label) if name))

    def id_of(self, record: Record) -> str:
        value = record.get(self.id)
        if type(value) is int:
            return str(value)
        if isinstance(value, list | dict | bool):
            raise RecordError("no id", f"the id in {self.id!r} is a {type(value).__name__}; give a string or a number")
        found = _joined(value, self.id).strip()
        if not found:
            raise RecordError("no id", f"there is no id in {self.id!r}; give every record one")
        return found

    def text_of(self, record: Record, keep_empty: bool = False) -> str:
        parts = [_joined(record.get(name), name) for name in self.text]
        return checked_text(parts, ", ".join(map(repr, self.text)), keep_empty)

    def label_of(self, record: Record) -> tuple[str, ...]:
        """A path from coarse to fine: a list, the first of several lists, or a string with " > "."""
        value = record.get(self.label) if self.label else None
        if isinstance(value, str):
            value = value.split(" > ")
        if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
            value = value[0]
        levels = value if isinstance(value, list | tuple) else [value]
        return tuple(level for part in levels if (level := clean(_joined(part, self.label))))


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
        text = _LONE_SURROGATE.sub("\ufffd", text)
    if "\0" in text:
        text = text.replace("\0", " ")
    return " ".join(text.split())


def _joined(value: Any, name: str) -> str:
    """A field's value as text: nothing, a string, a number, or a list of these."""
    if isinstance(value, str):
        return value
    if value is None or value != value:  # Parquet writes a missing number as NaN
        return ""
    if isinstance(value, list | tuple):
        return " ".join(filter(None, (_joined(part, name) for part in value)))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RecordError(
                "not UTF-8", f"{name!r} is not UTF-8 at byte {error.start}; write it as a string"
            ) from None
    if isinstance(value, dict):
        raise RecordError("not text", f"{name!r} holds an object; name a column of strings or lists of strings")
    return str(value)
