"""Parquet: typed columns; dates and times come as text, and a value Python cannot hold is one record's fault."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.corpus.records import Record, RecordError, Survey, not_utf8
from lmindexer.errors import InputError, excerpt, shortened

_BATCH = 4096
_OUT_OF_RANGE = "<value out of range"  # what Arrow writes for a date that no calendar has


def survey(path: Path) -> Survey:
    file = open_parquet(path)
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: two columns are named {excerpt(twice)}; rename one")
    return Survey({field.name: is_text(field.type) for field in file.schema_arrow}, file.metadata.num_rows, "row")


def records(path: Path, names: Sequence[str] = ()) -> Iterator[tuple[int, Record | RecordError]]:
    """Every row. Raises InputError where the file holds fewer than it says."""
    file = open_parquet(path)
    present = [name for name in names if name in file.schema_arrow.names] if names else None
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH, columns=present):
            for record in of_batch(batch):
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        raise broken(path, error) from error
    if number != file.metadata.num_rows:
        raise broken(path, ValueError(f"{number:,} of {file.metadata.num_rows:,} rows are there"))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds strings, or lists of strings however nested."""
    lists = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    wrapped = (*lists, "is_dictionary", "is_run_end_encoded")
    if any(getattr(pa.types, name)(kind) for name in wrapped):
        return is_text(kind.value_type)
    texts = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_binary_view")
    return any(getattr(pa.types, name)(kind) for name in texts)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Raises InputError where it is no whole Parquet file."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise broken(path, error) from error


def broken(path: Path, error: Exception) -> InputError:
    """What to raise for a file in which Arrow met `error`."""
    cause = shortened(str(error).split("\n")[0].strip(". "), 120)
    return InputError(f"{path} is not a whole Parquet file ({cause}); write or fetch it again")


def of_batch(batch: pa.RecordBatch) -> Iterator[Record | RecordError]:
    names = batch.schema.names
    try:
        columns = [_values(column) for column in batch.columns]
    except (ValueError, OverflowError, pa.ArrowException) as error:  # find the rows that can be read
        if batch.num_rows > 1:
            for row in range(batch.num_rows):
                yield from of_batch(batch.slice(row, 1))
        elif isinstance(error, UnicodeDecodeError):
            yield not_utf8(error)
        else:
            advice = "write it as text"
            yield RecordError("unreadable value", f"a value is none that can be read ({error}); {advice}")
        return
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; those of dates and times as text. Raises ValueError for a date out of range."""
    kind = column.type
    if not pa.types.is_temporal(kind) or pa.types.is_interval(kind):
        return column.to_pylist()
    if pa.types.is_timestamp(kind) and kind.tz:
        column = column.cast(pa.timestamp(kind.unit))  # the same moment, in UTC
    texts = column.cast(pa.string()).to_pylist()
    for text in texts:
        if text is not None and text.startswith(_OUT_OF_RANGE):
            raise ValueError("a date or time out of range")
    return [text if text is None else _short(text) for text in texts]


def _short(text: str) -> str:
    """Without a fraction that is all zeros."""
    whole, point, fraction = text.partition(".")
    return whole if point and not fraction.strip("0") else text
