"""Files come in: JSONL, CSV, TSV and Parquet, one record at a time, with faults that name file and line.

A file has two questions to answer: which columns it holds, and which records. A fault of one record
is handed on as a `RecordError`, so that the caller may skip it; a fault of the whole file raises.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.errors import InputError

PEEK = 1000  # JSONL records need not be alike: this many first ones show which columns a file has
FIELD_LIMIT = 2**27  # characters of one CSV field before a forgotten quote counts as an error

Record = dict[str, Any]


class RecordError(Exception):
    """What is wrong with one record: `reason` is counted, the message is told."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Reader:
    """One file format."""

    unit: str  # what a record's number counts: "line" or "row"
    columns: Callable[[Path], dict[str, bool]]  # name -> whether it holds text
    records: Callable[[Path, Sequence[str]], Iterator[tuple[int, Record | RecordError]]]  # only the named columns


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain or gzip file, without the byte order mark some programs put first."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield next(iter(file), b"").removeprefix(b"\xef\xbb\xbf")
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}); fetch or compress it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error


def _not_utf8(error: UnicodeDecodeError) -> RecordError:
    return RecordError(
        "not UTF-8", f"byte {error.start + 1} of it is not UTF-8; convert the file, e.g. with iconv -t UTF-8"
    )


# JSON, one object a line


def _json_columns(path: Path) -> dict[str, bool]:
    columns: dict[str, bool] = {}
    objects = (record for _, record in _json_records(path, ()) if not isinstance(record, RecordError))
    for record in islice(objects, PEEK):
        for name, value in record.items():
            first = value[0] if isinstance(value, list) and value else value
            columns[name] = columns.get(name, False) or isinstance(first, str)
    return columns


def _json_records(path: Path, names: Sequence[str]) -> Iterator[tuple[int, Record | RecordError]]:
    loads = json.JSONDecoder().decode
    for number, line in enumerate(lines(path), 1):
        try:
            text = line.decode("utf-8")
            if text.isspace() or not text:
                continue
            record = loads(text)
        except UnicodeDecodeError as error:
            yield number, _not_utf8(error)
        except json.JSONDecodeError as error:
            yield number, _broken_json(f"{error.msg} at character {error.pos + 1}")
        except (ValueError, RecursionError) as error:  # a number of 5000 digits, 100,000 brackets
            yield number, _broken_json(str(error))
        else:
            if isinstance(record, dict):
                yield number, record
            else:
                kind = type(record).__name__
                advice = 'every line must be one JSON object like {"id": ..., "text": ...}'
                yield number, RecordError("not a JSON object", f"a JSON {kind}, not an object; {advice}")


def _broken_json(problem: str) -> RecordError:
    return RecordError("broken JSON", f"broken JSON ({problem}); every line must be one JSON object")


# CSV and TSV, the first row names the columns


def _csv_header(path: Path, delimiter: str) -> list[str]:
    header = next(_csv_rows(path, delimiter), (1, []))[1]
    if isinstance(header, RecordError):
        raise InputError(f"{path}, line 1: {header}")
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}, line 1: two columns are named {twice!r}; rename one")
    return names


def _csv_columns(path: Path, delimiter: str) -> dict[str, bool]:
    return dict.fromkeys(_csv_header(path, delimiter), True)


def _csv_records(path: Path, names: Sequence[str], delimiter: str) -> Iterator[tuple[int, Record | RecordError]]:
    header = _csv_header(path, delimiter)
    for number, row in islice(_csv_rows(path, delimiter), 1, None):
        if isinstance(row, RecordError):
            yield number, row
        elif len(row) != len(header):
            message = f"has {len(row)} fields, but the header has {len(header)}; quote fields that hold a separator"
            yield number, RecordError("wrong number of fields", message)
        else:
            yield number, dict(zip(header, row, strict=True))


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | RecordError]]:
    """Every row that is not empty, with the line it starts on."""
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    faults: list[RecordError] = []  # of the lines of the current row; a row may span many

    def decoded() -> Iterator[str]:
        for line in lines(path):
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                faults.append(_not_utf8(error))
                yield line.decode("utf-8", errors="replace")

    rows = csv.reader(decoded(), delimiter=delimiter, strict=True)
    while True:
        start = rows.line_num + 1
        faults.clear()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                message = f"{path}, line {start}: a quote that opens in this row never closes; close it"
                raise InputError(message) from error
            yield (
                start,
                RecordError("broken quotes", f"this is not a row ({error}); double the quotes inside quotes"),
            )
            continue
        if faults:
            yield start, faults[0]
        elif row:
            yield start, row


# Parquet


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _broken_parquet(path, error) from error


def _broken_parquet(path: Path, error: Exception) -> InputError:
    first_line = str(error).split("\n")[0].strip(". ")
    return InputError(f"{path} is not a whole Parquet file ({first_line}); write or fetch it again")


def _parquet_columns(path: Path) -> dict[str, bool]:
    return {field.name: _is_text(field.type) for field in _open_parquet(path).schema_arrow}


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _parquet_records(path: Path, names: Sequence[str]) -> Iterator[tuple[int, Record | RecordError]]:
    number = 0
    try:
        for batch in _open_parquet(path).iter_batches(batch_size=4096, columns=list(names)):
            for record in _parquet_rows(batch):
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        raise _broken_parquet(path, error) from error


def _parquet_rows(batch: pa.RecordBatch) -> Iterator[Record | RecordError]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:  # a string column that is not UTF-8: find the rows that are
        for row in range(batch.num_rows):
            try:
                yield from batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError as error:
                yield _not_utf8(error)


_JSON = Reader("line", _json_columns, _json_records)
_CSV = Reader("line", partial(_csv_columns, delimiter=","), partial(_csv_records, delimiter=","))
_TSV = Reader("line", partial(_csv_columns, delimiter="\t"), partial(_csv_records, delimiter="\t"))
_PARQUET = Reader("row", _parquet_columns, _parquet_records)

READERS: dict[str, Reader] = {
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
    ".csv": _CSV,
    ".tsv": _TSV,
    ".parquet": _PARQUET,
}
