"""Records that are in Python already, read by the rules of files: data frames, tables, data sets, dicts.

No package of data frames is imported here: whoever hands one over has it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from lmindexer.corpus.document import Document
from lmindexer.corpus.json_records import KEY, holds_text
from lmindexer.corpus.parquet import is_text, of_batch
from lmindexer.corpus.records import Reader, Record, RecordError, Survey
from lmindexer.errors import InputError, excerpt
from lmindexer.values import plain

TEXT = "text"  # where the value of {id: text} is found in the record
BATCH = 4096  # rows of a data frame that are Python's at a time

Rows = Iterator[Record | RecordError]


@dataclass(frozen=True, eq=False)
class Records:
    """What stands where a file does: row n is the n-th record, counted from 0 as Python does."""

    name: str
    columns: Mapping[str, bool]  # that are known beforehand, and whether each holds text
    rows: Callable[[], Rows]  # all of them, each time

    def __str__(self) -> str:
        return self.name


def records_of(data: object) -> Records:
    """The records of a data frame, table or data set, of a list of dicts, or of {id: text} or {id: record}.

    Raises InputError for anything else.
    """
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    elif not isinstance(data, pa.Table) and hasattr(data, "to_arrow"):  # polars
        data = data.to_arrow()
    if isinstance(data, pa.Table):
        return _of_table(data)
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas
        return _of_frame(data)
    if hasattr(data, "column_names"):  # datasets
        return _of_dataset(data)
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise InputError(
            f"a corpus is made of a data frame, a table, a list of dicts, {{id: text}} or files, not of {excerpt(data)}"
        )
    rows = list(data)
    return Records("the list", {}, lambda: map(_record, rows))


def _of_table(table: pa.Table) -> Records:
    columns = {field.name: is_text(field.type) for field in table.schema}
    if len(columns) < table.num_columns:
        raise InputError("the table has two columns of one name; rename one")
    return Records("the table", columns, lambda: chain.from_iterable(map(of_batch, table.to_batches(BATCH))))


def _of_frame(frame: Any) -> Records:
    """Of pandas: a named index is a column, too, so that `set_index("asin")` loses nothing."""
    names = [name for name in frame.index.names if name is not None and name not in frame.columns]
    whole = frame.reset_index(level=names) if names else frame
    columns = list(map(str, whole.columns))
    if len(set(columns)) < len(columns):
        raise InputError("the data frame has two columns of one name; rename one")

    def rows() -> Rows:
        for start in range(0, len(whole), BATCH):
            part = whole.iloc[start : start + BATCH]
            cells = [part.iloc[:, place].tolist() for place in range(len(columns))]
            for values in zip(*cells, strict=True):
                yield {name: _cell(value) for name, value in zip(columns, values, strict=True)}

    return Records("the data frame", dict.fromkeys(columns, False), rows)


def _of_dataset(dataset: Any) -> Records:
    """Of Hugging Face datasets. Raises InputError where it is several splits of one."""
    if isinstance(dataset, Mapping):
        splits = ", ".join(map(excerpt, dataset))
        raise InputError(
            f"these are the splits {splits} of a data set; choose one of them: dataset[{next(iter(dataset))!r}]"
        )
    whole = dataset.with_format(None) if hasattr(dataset, "with_format") else dataset
    return Records("the data set", dict.fromkeys(dataset.column_names or (), False), lambda: map(_record, whole))


def _of_mapping(data: Mapping[Any, Any]) -> Records:
    def rows() -> Rows:
        for key, value in data.items():
            if isinstance(value, Mapping):
                record = _record(value)
                yield record if isinstance(record, RecordError) or KEY in record else {KEY: _cell(key)} | record
            elif isinstance(plain(value), list | tuple):
                advice = "give {id: text}, {id: record}, or one dict a row"
                yield RecordError("not a record", f"the value of {excerpt(key)} is a list; {advice}")
            else:
                yield {KEY: _cell(key), TEXT: _cell(value)}

    return Records("the mapping", {}, rows)


def _record(value: object) -> Record | RecordError:
    if isinstance(value, Mapping):
        return {str(name): _cell(cell) for name, cell in value.items()}
    if isinstance(value, Document):
        return RecordError("not a record", "this is a Document; make a corpus of these by Corpus.from_documents")
    advice = 'every row must be a dict like {"id": ..., "text": ...}'
    return RecordError("not a record", f"a {type(value).__name__}, not a dict; {advice}")


def _cell(value: Any) -> Any:
    """A value as files have it: nothing is None, an array a list, a date text, as Parquet's become."""
    if type(value).__name__ in ("NaTType", "NAType") or value is None:
        return None
    if isinstance(value, np.datetime64):
        value = None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return str(moment)
    value = plain(value)
    return [_cell(part) for part in value] if isinstance(value, list | tuple) else value


def survey(data: Records) -> Survey:
    """What the records hold, all of them looked at."""
    columns, count = dict(data.columns), 0
    for record in data.rows():
        count += 1
        for name, value in record.items() if isinstance(record, dict) else ():
            if not columns.get(name, False):
                columns[name] = holds_text(value)
    return Survey(columns, count, "row")


def records(data: Records, names: Sequence[str] = ()) -> Iterator[tuple[int, Record | RecordError]]:
    """Every record, whole, whatever `names`, and its number from 0."""
    return enumerate(data.rows())


MEMORY = Reader(survey, records)
