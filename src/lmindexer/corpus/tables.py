"""CSV and TSV: the first row names the columns; a quote that was never meant as one swallows no rows.

A quoted field may run over several lines. Where these look like rows themselves, or the quote never closes as it
should, the row is its first line alone, and the others are read anew: no line belongs to two rows, or to none.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lmindexer.corpus.records import Reader, Record, RecordError, Survey, not_utf8
from lmindexer.corpus.streams import lines
from lmindexer.errors import InputError, excerpt

FIELD_LIMIT = 2**24  # characters of one field before a forgotten quote counts as an error
LONG_ROW = 10  # lines; a row of more is told

_TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")  # a column of RecBole's
_SEPARATORS = {";": "';'", "\t": "tabs", "::": "'::'", "|": "'|'", ",": "commas"}
_DIALECTS: tuple[dict[str, Any], ...] = (
    {"escapechar": "\\", "doublequote": False},  # "a 6\" ruler"
    {"skipinitialspace": True},  # a, "b, c"
    {"quoting": csv.QUOTE_NONE},
)


@dataclass
class _Oddities:
    """What is worth a note about a table."""

    mended: list[int] = field(default_factory=list)  # lines
    long: list[tuple[int, int]] = field(default_factory=list)  # how many lines, from which
    headers: list[int] = field(default_factory=list)

    def notes(self, path: Path) -> Iterator[str]:
        if self.mended:
            yield (
                f"{len(self.mended):,} rows of {path} have quotes that are none of CSV's; each is read as one line "
                f"(the first: line {self.mended[0]})"
            )
        if self.long:
            size, start = max(self.long)
            yield (
                f"{len(self.long):,} rows of {path} have a quoted field over more than {LONG_ROW} lines "
                f"(the longest: {size:,} lines from line {start}); check that no quote was forgotten"
            )
        if self.headers:
            yield (
                f"the header stands again in {len(self.headers):,} lines of {path}, which are left out "
                f"(the first: line {self.headers[0]})"
            )


def survey(path: Path, delimiter: str) -> Survey:
    oddities = _Oddities()
    rows = _rows(path, delimiter, oddities)
    header = _header(path, rows, delimiter)
    count, first = 0, None
    for _, row in rows:
        count += 1
        first = row if first is None else first
    if header and isinstance(first, list) and _is_no_header(header, first):
        raise InputError(
            f"the first line of {path} is no header ({', '.join(map(excerpt, header[:3]))}); put one in that names the "
            f"columns, such as {delimiter.join(('id', 'text', 'more')[: max(2, len(header))])!r}"
        )
    return Survey(dict.fromkeys(header, True), count, notes=tuple(oddities.notes(path)), headed=True)


def records(path: Path, names: Sequence[str], delimiter: str) -> Iterator[tuple[int, Record | RecordError]]:
    rows = _rows(path, delimiter, _Oddities())
    header = _header(path, rows, delimiter)
    for number, row in rows:
        yield number, row if isinstance(row, RecordError) else dict(zip(header, row, strict=True))


def _header(path: Path, rows: Iterator[tuple[int, list[str] | RecordError]], delimiter: str) -> list[str]:
    number, header = next(rows, (1, []))
    if isinstance(header, RecordError):
        raise InputError(f"{path}, line {number}: {header}")
    names = [name.strip() for name in header]
    typed = [_TYPED.fullmatch(name) for name in names]
    names = [found.group(1) for found in typed if found] if all(typed) else names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}, line {number}: two columns are named {excerpt(twice)}; rename one")
    if len(names) == 1:
        _check_separator(path, names[0], delimiter)
    return names


def _check_separator(path: Path, header: str, delimiter: str) -> None:
    """Raise InputError where another separator than `delimiter` stands in the header."""
    if delimiter in header:
        return
    for separator, name in _SEPARATORS.items():
        if separator in header:
            raise InputError(
                f"{path} separates its fields by {name}, not by {_SEPARATORS[delimiter]}; write it anew with "
                f"{_SEPARATORS[delimiter]} and a header, or as JSONL"
            )


def _is_no_header(header: list[str], first: list[str]) -> bool:
    """Whether a number stands where the names should, as in the row below; names may all be numbers, 0, 1, 2."""
    return _is_number(header[0]) and _is_number(first[0]) and not all(map(_is_number, header))


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).removeprefix("-").isdecimal()


class _Lines:
    """Decoded lines; those that turn out to be of later rows can be put back."""

    def __init__(self, path: Path) -> None:
        self.source = enumerate(lines(path), 1)
        self.waiting: deque[tuple[int, str, RecordError | None]] = deque()
        self.taken: list[tuple[int, str, RecordError | None]] = []  # by the current row

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.waiting:
            self.taken.append(self.waiting.popleft())
        else:
            number, line = next(self.source)
            fault = None
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                fault, text = not_utf8(error), line.decode("utf-8", errors="replace")
            if text.endswith("\r"):  # a file of CR alone
                text = text[:-1] + "\n"
            self.taken.append((number, text, fault))
        return self.taken[-1][1]

    def put_back(self) -> None:
        """All but the first line of the current row."""
        self.waiting.extendleft(reversed(self.taken[1:]))


def _rows(path: Path, delimiter: str, oddities: _Oddities) -> Iterator[tuple[int, list[str] | RecordError]]:
    """Every row that is not empty, with the line it starts on; the first is the header, as it stands."""
    csv.field_size_limit(FIELD_LIMIT)
    source = _Lines(path)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    shapes: deque[str] = deque(maxlen=100)  # of what stands first in a row
    while True:
        source.taken.clear()
        problem = ""
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row, problem = [], str(error)
        start, text, fault = source.taken[0]
        if not problem and not any(map(str.strip, row)) and len(row) < 2:
            continue
        if header is None:
            if problem:
                _check_separator(path, text, delimiter)
                raise InputError(f"{path}, line {start}: the header is not a row ({problem}); check its quotes")
            header = row
            yield start, row
            continue
        width, size = len(header), len(source.taken)
        if problem or (size > 1 and (len(row) != width or _are_rows(source.taken, delimiter, width, shapes))):
            source.put_back()
            alone = _alone(text, delimiter, width)
            if fault is not None:
                yield start, fault
            elif alone is None:
                advice = "close its quotes, and double those inside quotes"
                yield start, RecordError("broken quotes", f"this is not a row ({problem or 'a stray quote'}); {advice}")
            else:
                oddities.mended.append(start)
                yield start, alone
            continue
        if fault := next((fault for _, _, fault in source.taken if fault), None):
            yield start, fault
        elif row == header:
            oddities.headers.append(start)
        elif len(row) == width:
            if size > LONG_ROW:
                oddities.long.append((size, start))
            shapes.append(_shape(row[0]))
            yield start, row
        elif (mended := _parsed(text, delimiter, width, {"skipinitialspace": True})) is not None:
            oddities.mended.append(start)
            yield start, mended
        else:
            message = f"has {len(row)} fields, but the header has {width}; quote fields that hold a separator"
            yield start, RecordError("wrong number of fields", message)


def _are_rows(taken: list[tuple[int, str, RecordError | None]], delimiter: str, width: int, shapes: deque[str]) -> bool:
    """Whether most lines of a quoted field are rows themselves: of as many fields, and with such a first field.

    A tab is in no text. But a comma is, so in CSV a line must begin as other rows do, with an id of the same shape.
    """
    if width < 2:
        return False
    (_, first, _), *others = taken
    others = [line for line in others if line[1].strip()]
    like = {_shape(first.partition(delimiter)[0]), *shapes}
    alike = 0
    for _, text, _ in others:
        row = _parsed(text, delimiter, width, {}) or _alone(text, delimiter, width)
        alike += row is not None and (delimiter == "\t" or _shape(row[0]) in like)
    if delimiter != "\t" and not any("0" in shape for shape in like):  # words; so may a text begin
        return alike == len(others) and alike > LONG_ROW
    return 2 * alike >= len(others) > 0


def _alone(text: str, delimiter: str, width: int) -> list[str] | None:
    """One line as a row of `width` fields, in another way of quoting; None where it is none."""
    for dialect in _DIALECTS:
        if "escapechar" in dialect and '\\"' not in text:
            continue
        row = _parsed(text, delimiter, width, dialect)
        if row is not None:
            return None if "quoting" in dialect and _may_be_one_field(row) else row
    return None


def _may_be_one_field(row: list[str]) -> bool:
    """Whether a quote opens in one field and another stands in a later one: its separators may be quoted."""
    opening = next((n for n, part in enumerate(row) if part.startswith('"')), len(row))
    return any('"' in part for part in row[opening + 1 :])


def _parsed(text: str, delimiter: str, width: int, dialect: dict[str, Any]) -> list[str] | None:
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True, **dialect))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 and len(rows[0]) == width else None


def _shape(text: str) -> str:
    """What an id is made of: "B0017" is "a0", "12" is "0", "two words" is "a a"."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", text[:100]))


CSV = Reader(partial(survey, delimiter=","), partial(records, delimiter=","))
TSV = Reader(partial(survey, delimiter="\t"), partial(records, delimiter="\t"))
