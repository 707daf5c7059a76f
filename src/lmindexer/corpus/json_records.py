"""JSON: one object a line, or one array or one {id: record} object in a file; also Python literals, one a line."""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmindexer.corpus.literals import DEEPEST, python_record
from lmindexer.corpus.records import Record, RecordError, Survey, not_utf8
from lmindexer.corpus.streams import check_encoding, lines, opened
from lmindexer.errors import InputError, excerpt

KEY = "id"  # where the key of an {id: record} file is found in the record
LINES, ARRAY, MAPPING, OBJECTS = "lines", "array", "mapping", "objects"
LONGEST_VALUE = 2**26  # characters of one record of an array

_CHUNK = 2**20
_SPACE = re.compile(r"[ \t\r\n]*")
_ARRAY = re.compile(r"\[\s*(\{|\]\s*$)")
_MAPPING = re.compile(r"""\{\s*"(?:[^"\\]|\\.)*"\s*:\s*[\[{]""")


class _TwoValues(dict[str, Any]):
    """An object in which a name stands twice, so that a value is lost."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _TwoValues(found)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def survey(path: Path) -> Survey:
    columns: dict[str, bool] = {}
    count = literals = first_literal = 0
    shape = layout(path)
    for number, record in _records(path, shape):
        count += 1
        if isinstance(record, RecordError):
            continue
        if isinstance(record, _PythonRecord):
            literals, first_literal = literals + 1, first_literal or number
        for name, value in record.items():
            if not columns.get(name, False):
                columns[name] = holds_text(value)
    notes = []
    if literals:
        notes.append(
            f"{literals:,} lines of {path} are Python literals, not JSON, and are read so (line {first_literal})"
        )
    return Survey(columns, count, "line" if shape == LINES else "record", tuple(notes))


def records(path: Path, names: Sequence[str] = ()) -> Iterator[tuple[int, Record | RecordError]]:
    """Every record, whole, whatever `names`; its number counts lines, in an array or {id: record} file records."""
    return _records(path, layout(path))


def values(path: Path, shape: str) -> Iterator[tuple[int, str | None, Any]]:
    """The values of a file that is not one a line: number, key (of an {id: record} file, else None), value."""
    with opened(path) as file:
        stream = _Stream(path, file)
        number = 0
        if shape == OBJECTS:
            while stream.peek():
                number += 1
                yield number, None, stream.value()
            return
        stream.peek()
        for key, value in stream.items("]" if shape == ARRAY else "}"):
            number += 1
            yield number, key, value
        if stream.peek():
            raise stream.broken("the file goes on after its end")


def layout(path: Path) -> str:
    """How the values lie in a file: one a line, in one array, in one object of objects, or printed over many lines."""
    with opened(path) as file:
        head = file.read(_CHUNK)
    check_encoding(path, head)
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace").lstrip()
    first, _, rest = text.replace("\r", "\n").partition("\n")
    rest = rest.strip()
    if text.startswith("["):
        return ARRAY if _ARRAY.match(text) and not (rest and _is_whole(first)) else LINES
    if text.startswith("{") and _is_whole(first):
        parts = json.loads(first).values()
        return (
            MAPPING if not rest and len(parts) > 1 and all(isinstance(part, dict | list) for part in parts) else LINES
        )
    if _MAPPING.match(text) and not rest.startswith("{"):
        return MAPPING
    return OBJECTS if first.strip() == "{" else LINES


class _PythonRecord(dict[str, Any]):
    """A record that was written as a Python literal."""


def _records(path: Path, shape: str) -> Iterator[tuple[int, Record | RecordError]]:
    if shape == LINES:
        yield from _of_lines(path)
        return
    for number, key, value in values(path, shape):
        if not isinstance(value, dict):
            yield number, _no_object(value)
        elif isinstance(value, _TwoValues):
            yield number, _two_values()
        else:
            yield number, value if key is None or KEY in value else {KEY: key} | value


def _of_lines(path: Path) -> Iterator[tuple[int, Record | RecordError]]:
    loads = _DECODER.decode
    for number, line in enumerate(lines(path), 1):
        try:
            text = line.decode("utf-8")
            if text.isspace() or not text:
                continue
            record = loads(text)
        except UnicodeDecodeError as error:
            yield number, not_utf8(error)
        except (ValueError, RecursionError) as error:  # broken; a number of 5000 digits; 100,000 brackets
            literal = python_record(text.strip())
            yield number, _broken(text, error) if literal is None else _PythonRecord(literal)
        else:
            if isinstance(record, _TwoValues):
                yield number, _two_values()
            else:
                yield number, record if isinstance(record, dict) else _no_object(record)


def _broken(text: str, error: Exception) -> RecordError:
    if not isinstance(error, json.JSONDecodeError):
        problem = "too deep or too long a number"
    elif error.msg == "Extra data":
        more = text[error.pos :].strip()
        problem = (
            "a comma after it; leave it out" if more == "," else f"more after its end at character {error.pos + 1}"
        )
    elif text.startswith("{'") or text.startswith("{u'"):
        problem = "neither JSON nor a Python literal"
    else:
        problem = f"{error.msg} at character {error.pos + 1}"
    return RecordError("broken JSON", f"broken JSON ({problem}); every line must be one JSON object")


def _no_object(value: Any) -> RecordError:
    advice = 'every line must be one JSON object like {"id": ..., "text": ...}'
    return RecordError("not a JSON object", f"a JSON {type(value).__name__}, not an object; {advice}")


def _two_values() -> RecordError:
    return RecordError("two values of one name", "a name stands twice in it, with two values; keep one")


def holds_text(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return not value.isspace() and value != ""
    return isinstance(value, list | tuple) and depth < DEEPEST and any(holds_text(part, depth + 1) for part in value)


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Stream:
    """JSON values one after another, without the whole file in memory."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self.file = path, file
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at, self.before, self.ended = "", 0, 0, False

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self.more(_CHUNK)

    def items(self, closing: str) -> Iterator[tuple[str | None, Any]]:
        """Of the array or object that begins here: keys (None in an array) and values."""
        self.at += 1
        if self.peek() == closing:
            self.at += 1
            return
        while True:
            key = None
            if closing == "}":
                key = self.value()
                if not isinstance(key, str) or self.peek() != ":":
                    raise self.broken("a name and a colon should stand")
                self.at += 1
            self.peek()
            yield key, self.value()
            mark = self.peek()
            if mark not in (",", closing) or not mark:
                raise self.broken(f"a comma or {closing} should stand")
            self.at += 1
            if mark == closing:
                return
            self.peek()

    def value(self) -> Any:
        size = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                if end < len(self.text) or self.ended:
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                if self.ended or len(self.text) - self.at > LONGEST_VALUE:
                    raise self.broken(error.msg, error.pos) from None
            except (ValueError, RecursionError):
                raise self.broken("too deep, or too long a number") from None
            self.more(size)
            size *= 2

    def more(self, size: int) -> None:
        chunk = self.file.read(size)
        self.ended = not chunk
        try:
            added = self.decoder.decode(chunk, final=self.ended)
        except UnicodeDecodeError:
            raise InputError(f"{self.path} is not UTF-8; convert it, e.g. with iconv -f LATIN1 -t UTF-8") from None
        self.before += self.at
        self.text, self.at = self.text[self.at :] + added, 0

    def broken(self, problem: str, at: int | None = None) -> InputError:
        place = self.at if at is None else at
        near = excerpt(self.text[place : place + 30])
        return InputError(
            f"{self.path} is broken JSON at character {self.before + place + 1} ({problem}; there is {near})"
        )
