"""From a value as a file has it to an id, a text, a label; what was changed on the way is counted and told."""

import math
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from lmindexer.corpus.document import LONE_SURROGATE, clean
from lmindexer.corpus.labels import may_have_levels, path_of
from lmindexer.corpus.literals import DEEPEST, list_in
from lmindexer.corpus.markup import without_markup
from lmindexer.corpus.records import Record, RecordError
from lmindexer.errors import InputError, excerpt

# What programs write where a value is missing, when it stands alone in a cell.
MISSING = {"nan", "NaN", "NAN", "None", "null", "NULL", "Null", "N/A", "n/a", "#N/A", "<NA>"}


def id_in(value: Any, name: str) -> str:
    """The id in a value; a number that is whole has no fraction: 108775015.0 is "108775015"."""
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    if type(value) is int:
        return str(value)
    if isinstance(value, list | dict | bool):
        raise RecordError("no id", f"the id in {excerpt(name)} is a {type(value).__name__}; give a string or a number")
    found = "" if _is_missing(value) else plain(value, name).strip()
    if not found:
        raise RecordError("no id", f"there is no id in {excerpt(name)}; give every record one")
    if LONE_SURROGATE.search(found):
        raise RecordError(
            "not Unicode", f"the id {excerpt(found)} holds half a character (a lone surrogate); rename it"
        )
    return found


def id_of(record: Record, name: str, where: str) -> str:
    """The id in a record. Raises InputError that says `where` the record stands."""
    try:
        return id_in(record.get(name), name)
    except RecordError as fault:
        raise InputError(f"{where}: {fault}") from None


class Cells:
    """Reads the values of one corpus."""

    def __init__(self, keep_markup: bool = False) -> None:
        self.keep_markup = keep_markup
        self.missing = self.lists = self.marked = 0
        self.first_list = ""
        self.labels = self.deep_labels = 0
        self.unsure_labels: Counter[str] = Counter()

    def text(self, value: Any, name: str, depth: int = 0) -> str:
        """A value as text: nothing, a string, a number, or a list of these."""
        if isinstance(value, str):
            return self._of_string(value, name)
        if depth == DEEPEST:
            message = f"{excerpt(name)} holds more than {DEEPEST} lists within lists; flatten them"
            raise RecordError("nested too deep", message)
        if isinstance(value, list | tuple):
            return " ".join(filter(None, (self.text(part, name, depth + 1) for part in value)))
        return "" if _is_missing(value) else self._of_string(plain(value, name), name)

    def label(self, value: Any, name: str) -> tuple[str, ...]:
        """A path from coarse to fine: a string, a list of levels, or the first of several lists that is not empty."""
        if isinstance(value, str) and (found := list_in(value)) is not None:
            self._note_list(value)
            value = found
        levels = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(level, list | tuple) for level in levels):
            paths = (self._path(level if isinstance(level, list | tuple) else [level], name) for level in levels)
            path = next(filter(None, paths), ())
        else:
            path = self._path(levels, name)
        self.labels += bool(path)
        self.deep_labels += len(path) > 1
        if may_have_levels(path) and len(self.unsure_labels) < 1000:
            self.unsure_labels[path[0]] += 1
        return path

    def notes(self) -> Iterator[str]:
        if self.missing:
            yield f"{self.missing:,} cells hold only 'nan', 'None' or another word for nothing, and are taken as empty"
        if self.marked:
            yield f"HTML tags and entities are undone in {self.marked:,} cells; --keep-markup leaves them as they are"
        if self.lists:
            yield f"{self.lists:,} cells hold a list written as text, such as {self.first_list}, and are read as lists"
        if self.unsure_labels:
            first, count = next(iter(self.unsure_labels)), self.unsure_labels.total()
            none = "no label has levels, and " if not self.deep_labels else ""
            yield (
                f"{none}{count:,} of {self.labels:,} labels are read as one level that may be several "
                f"(the first: {excerpt(first)}); put ' > ' between levels"
            )

    def _path(self, levels: Any, name: str) -> tuple[str, ...]:
        return path_of([clean(self.text(level, name)) for level in levels])

    def _of_string(self, text: str, name: str) -> str:
        stripped = text.strip()
        if stripped in MISSING:
            self.missing += 1
            return ""
        if stripped.startswith("[") and (found := list_in(stripped)) is not None:
            self._note_list(stripped)
            return self.text(found, name)
        if not self.keep_markup and ("<" in text or "&" in text or "{" in text):
            shown = without_markup(text)
            self.marked += shown != text
            return shown
        return text

    def _note_list(self, text: str) -> None:
        self.lists += 1
        self.first_list = self.first_list or excerpt(text)


def plain(value: Any, name: str) -> str:
    """One value, neither missing nor a list, as text."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"{excerpt(name)} is not UTF-8 at byte {error.start}; write it as a string"
            raise RecordError("not UTF-8", message) from None
    if isinstance(value, dict):
        raise RecordError("not text", f"{excerpt(name)} holds an object; name a column of strings or lists of strings")
    return str(value)


def _is_missing(value: Any) -> bool:
    if isinstance(value, float | Decimal):  # Parquet writes a missing number as NaN
        return not math.isfinite(value)
    return value is None
