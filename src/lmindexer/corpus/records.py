"""What every reader of a file format gives: records, the faults of single ones, and what the file holds in all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmindexer.errors import InputError

Record = dict[str, Any]


class RecordError(Exception):
    """What is wrong with one record: `reason` is counted, the message is told."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def not_utf8(error: UnicodeDecodeError) -> RecordError:
    advice = "convert the file, e.g. with iconv -f LATIN1 -t UTF-8"
    return RecordError("not UTF-8", f"byte {error.start + 1} of it is not UTF-8; {advice}")


@dataclass(frozen=True)
class Survey:
    """What a file holds, found by reading all of it."""

    columns: dict[str, bool]  # name -> whether any record has text there
    records: int  # sound or not
    unit: str = "line"  # what a record's number counts: "line", "row" or "record"
    notes: tuple[str, ...] = ()
    headed: bool = False  # whether a first line names the columns


@dataclass(frozen=True)
class Reader:
    """One file format. A fault of the whole file raises InputError."""

    survey: Callable[[Any], Survey]  # of its path, as is the next
    records: Callable[[Any, Sequence[str]], Iterator[tuple[int, Record | RecordError]]]  # the named columns; (): all


def sound_records(path: Path, unit: str, reader: Reader, names: Sequence[str] = ()) -> Iterator[tuple[int, Record]]:
    """Every record and its number. Raises InputError that names file and record at the first one with a fault."""
    for number, record in reader.records(path, names):
        if isinstance(record, RecordError):
            raise InputError(f"{path}, {unit} {number}: {record}")
        yield number, record
