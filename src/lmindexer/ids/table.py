"""The semantic ID of every document: learned codes, then a suffix which tells equal paths apart.

Learning appends one column of codes per position; `with_suffix` ends the ID and makes it unique. From then
on documents come (`add`) and go (`remove`), and nobody else's ID changes.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmindexer.errors import InputError, check_list
from lmindexer.extras import optional
from lmindexer.files import json_text, write_atomically
from lmindexer.values import DocId, id_text, id_texts

if TYPE_CHECKING:
    import pandas
    import pyarrow


def path_ids(codes: np.ndarray) -> np.ndarray:
    """One int per distinct row of `codes` (N, T), dense from 0, in the order of the paths: (N,) int64.

    At T = 0 all documents share the empty path, number 0.
    """
    paths = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        values, column = np.unique(column, return_inverse=True)
        paths = np.unique(paths * len(values) + column, return_inverse=True)[1]
    return paths


@dataclass(frozen=True, eq=False, repr=False)
class IdTable:
    """Row n of `codes`, then `suffix[n]`, is the ID of document `doc_ids[n]`."""

    doc_ids: tuple[str, ...]  # N
    codes: np.ndarray  # (N, T) int32, the learned positions
    sizes: tuple[int, ...]  # T, the codebook size of each
    suffix: np.ndarray | None = None  # (N,) int32, the distinguishing last position

    def __post_init__(self) -> None:
        N, T = len(self.doc_ids), len(self.sizes)
        if self.codes.shape != (N, T):
            raise ValueError(f"codes are {self.codes.shape}, but {N} documents and {T} positions need {(N, T)}")
        if self.suffix is not None and self.suffix.shape != (N,):
            raise ValueError(f"the suffix is {self.suffix.shape}, but {N} documents need {(N,)}")

    @classmethod
    def empty(cls, doc_ids: Iterable[str]) -> "IdTable":
        """Documents which have no code yet (T = 0)."""
        doc_ids = tuple(doc_ids)
        return cls(doc_ids, np.zeros((len(doc_ids), 0), dtype=np.int32), ())

    def append(self, codes_column: np.ndarray, size: int) -> "IdTable":
        """One more learned position: `codes_column` (N,) of `size` codes. Earlier ones stay as they are."""
        if self.suffix is not None:
            raise ValueError("these IDs already end in a suffix; append every learned position before with_suffix()")
        _check_codes(self.doc_ids, codes_column, size, position=len(self.sizes))
        codes = np.column_stack([self.codes, codes_column]).astype(np.int32)
        return replace(self, codes=codes, sizes=(*self.sizes, size))

    def with_suffix(self) -> "IdTable":
        """End the IDs: documents which share all learned codes get 0, 1, 2, ... in row order."""
        if self.suffix is not None:
            raise ValueError("these IDs already end in a suffix; add() gives new documents theirs")
        return replace(self, suffix=rank_within(path_ids(self.codes)).astype(np.int32))

    def add(self, doc_ids: Sequence[str], codes: np.ndarray) -> "IdTable":
        """New documents with learned codes (M, T), unique at once; the IDs already given do not change.

        Their suffix continues after the highest in use for the path. So the ID of a removed document
        is given again only if it was the last of its path.
        """
        check_list(doc_ids, "the new documents")
        old = self._suffix()
        new = IdTable(tuple(doc_ids), np.asarray(codes, dtype=np.int32), self.sizes)
        if known := [doc_id for doc_id in doc_ids if doc_id in self]:
            raise InputError(f"{known[0]!r} already has an ID; remove the document first, or leave it out")
        new._check_each_alone()
        continued = self.next_suffix(new.codes) + rank_within(path_ids(new.codes))  # (M,)
        all_codes = np.concatenate([self.codes, new.codes])  # (N + M, T)
        suffix = np.concatenate([old, continued.astype(np.int32)])
        return IdTable(self.doc_ids + new.doc_ids, all_codes, self.sizes, suffix)

    def next_suffix(self, codes: np.ndarray) -> np.ndarray:
        """The suffix (M,) int64 that the next document of each of these paths (M, T) would get."""
        N = len(self)
        paths = path_ids(np.concatenate([self.codes, np.asarray(codes, dtype=np.int32)]))
        highest = np.full(len(paths), -1, dtype=np.int64)  # by path
        np.maximum.at(highest, paths[:N], self._suffix())
        return highest[paths[N:]] + 1

    def remove(self, doc_ids: Iterable[DocId]) -> "IdTable":
        """Without these documents; the others keep their IDs. Raises InputError for one that is not there."""
        stays = np.ones(len(self), dtype=bool)
        for doc_id in id_texts(doc_ids, "the documents to remove"):
            if doc_id not in self.row_of:
                raise InputError(f"{doc_id!r} cannot be removed: no document of this table has that id")
            stays[self.row_of[doc_id]] = False
        return self.select(np.flatnonzero(stays))

    def select(self, rows: Sequence[int] | np.ndarray) -> "IdTable":
        """The documents of `rows`, in that order, with their IDs as they are."""
        rows = np.asarray(rows, dtype=np.int64)
        doc_ids = tuple(self.doc_ids[row] for row in rows)
        return IdTable(doc_ids, self.codes[rows], self.sizes, None if self.suffix is None else self.suffix[rows])

    def rows_below(self, path: Sequence[int]) -> np.ndarray:
        """Rows, ascending, of the documents whose IDs begin with these codes; none of more codes than an ID has."""
        if len(path) > len(self.sizes) + 1:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((self.paths[:, : len(path)] == np.array(path, dtype=np.int64)).all(1))

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each document."""
        return {doc_id: row for row, doc_id in enumerate(self.doc_ids)}

    @property
    def paths(self) -> np.ndarray:
        """The full IDs: learned codes, then the suffix, (N, T + 1) int32."""
        return np.column_stack([self.codes, self._suffix()])

    def check(self) -> None:
        """Raise unless every document has an ID of its own, made of codes which exist."""
        self._check_each_alone()
        paths = self.codes if self.suffix is None else self.paths
        numbers = path_ids(paths)
        repeats = np.flatnonzero(rank_within(numbers))
        if len(repeats):
            second = repeats[0]
            first = np.flatnonzero(numbers == numbers[second])[0]
            a, b, path = self.doc_ids[first], self.doc_ids[second], tuple(paths[first].tolist())
            way_out = "call ids.with_suffix() first" if self.suffix is None else "the table is damaged, learn it anew"
            raise ValueError(f"{a!r} and {b!r} share the ID {path}; {way_out}")

    def __getitem__(self, doc_id: DocId) -> tuple[int, ...]:
        """The ID of a document: its learned codes and, once there is one, its suffix."""
        row = self.row_of.get(id_text(doc_id))
        if row is None:
            raise KeyError(f"no document of this table has the id {doc_id!r}")
        codes = tuple(self.codes[row].tolist())
        return codes if self.suffix is None else (*codes, int(self.suffix[row]))

    def __contains__(self, doc_id: object) -> bool:
        return (doc_id if isinstance(doc_id, str) else id_text(doc_id)) in self.row_of

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.sizes)) or "no"
        return f"IdTable({len(self):,} documents, {sizes} codes)"

    def __iter__(self) -> Iterator[str]:
        return iter(self.doc_ids)

    def __len__(self) -> int:
        return len(self.doc_ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdTable):
            return NotImplemented
        same_suffix = (self.suffix is None) == (other.suffix is None) and (
            self.suffix is None or np.array_equal(self.suffix, other._suffix())
        )
        same_codes = self.sizes == other.sizes and np.array_equal(self.codes, other.codes)
        return self.doc_ids == other.doc_ids and same_codes and same_suffix

    def save(self, path: Path) -> None:
        """As Parquet: id, c1 ... cT, suffix; the codebook sizes in the schema's metadata."""
        import pyarrow.parquet

        table = self._columns()
        write_atomically(path, lambda to: pyarrow.parquet.write_table(table, to))

    @classmethod
    def load(cls, path: Path) -> "IdTable":
        """What `save` wrote. Raises InputError when it is something else, or no ID table that can be."""
        import pyarrow.parquet

        if not Path(path).is_file():
            raise InputError(f"there is no ID table at {path}")
        try:
            table = pyarrow.parquet.read_table(path)
            sizes = tuple(json.loads(table.schema.metadata[b"sizes"]))
            columns = [_int32(table[f"c{position}"]) for position in range(1, len(sizes) + 1)]
            doc_ids = tuple(table["id"].cast(pyarrow.string()).drop_null().to_pylist())
            codes = np.column_stack(columns) if columns else np.zeros((len(doc_ids), 0), dtype=np.int32)
            suffix = _int32(table["suffix"]) if "suffix" in table.column_names else None
            loaded = cls(doc_ids, codes, sizes, suffix)
            if loaded.suffix is None:
                loaded._check_each_alone()
            else:
                loaded.check()
        except (ValueError, KeyError, TypeError, OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path} is not an ID table which lmindexer saved ({error})") from error
        return loaded

    @classmethod
    def of_jsonl(cls, path: Path, sizes: tuple[int, ...]) -> "IdTable":
        """What `export` wrote as JSONL, of codebooks of these sizes. Raises InputError when it is something else."""
        doc_ids, codes = list[str](), list[list[int]]()
        try:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    record = json.loads(line)
                    doc_ids.append(record["id"])
                    codes.append(record["codes"])
            paths = np.array(codes, dtype=np.int32).reshape(len(codes), len(sizes) + 1)
            table = cls(tuple(doc_ids), paths[:, :-1], sizes, paths[:, -1])
            table.check()
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise InputError(f"{path} is not a list of IDs which lmindexer wrote ({error})") from None
        return table

    def to_pandas(self) -> "pandas.DataFrame":
        """A row a document: id, c1 ... cT, suffix. Raises InputError where pandas is not installed."""
        optional("pandas", "to_pandas()")
        return self._columns().to_pandas()

    def export(self, path: str | Path, format: str) -> None:
        """The full IDs for other programs, in a format of `ids.formats`: "jsonl", "csv", "parquet" or "index.json"."""
        from lmindexer.ids.formats import WRITERS

        if format not in WRITERS:
            raise InputError(f"{format!r} is not a format of IDs; choose one of {', '.join(WRITERS)}")
        self._suffix()  # an ID which is not unique yet is of no use outside
        WRITERS[format](self, Path(path))

    def jsonl_lines(self) -> Iterator[str]:
        """One line a document: {"id": "B004756YJA", "codes": [17, 401, 0]}."""
        for doc_id, codes in zip(self.doc_ids, self.paths.tolist(), strict=True):
            yield json_text({"id": doc_id, "codes": codes}, ensure_ascii=False)

    def _columns(self) -> "pyarrow.Table":
        import pyarrow

        columns = {"id": pyarrow.array(self.doc_ids, pyarrow.string())}
        for position, column in enumerate(self.codes.T, start=1):
            columns[f"c{position}"] = pyarrow.array(column, pyarrow.int32())
        if self.suffix is not None:
            columns["suffix"] = pyarrow.array(self.suffix, pyarrow.int32())
        return pyarrow.table(columns, metadata={"sizes": json_text(self.sizes)})

    def _check_each_alone(self) -> None:
        """No document id twice, no code outside its codebook."""
        if len(self.row_of) < len(self):
            repeated = next(doc_id for row, doc_id in enumerate(self.doc_ids) if self.row_of[doc_id] != row)
            raise InputError(f"the document id {repeated!r} is there twice; each document needs its own")
        for position, size in enumerate(self.sizes):
            _check_codes(self.doc_ids, self.codes[:, position], size, position)

    def _suffix(self) -> np.ndarray:
        if self.suffix is None:
            raise ValueError("these IDs are not unique yet; call ids.with_suffix() first")
        return self.suffix


def _int32(column: "pyarrow.ChunkedArray") -> np.ndarray:
    """A column of codes (N,). Raises ValueError or ArrowException where one is missing, or no int32."""
    import pyarrow

    if column.null_count:
        raise ValueError("a code is missing")
    return np.array(column.cast(pyarrow.int32()))


def rank_within(groups: np.ndarray) -> np.ndarray:
    """How many earlier rows are in the same group: (N,) ints -> (N,) int64."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.searchsorted(in_order, in_order)  # where each row's group begins
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - starts
    return ranks


def _check_codes(doc_ids: Sequence[str], column: np.ndarray, size: int, position: int) -> None:
    outside = np.flatnonzero((column < 0) | (column >= size))
    if len(outside):
        row = outside[0]
        raise ValueError(f"{doc_ids[row]!r} has code {column[row]} at position {position} of only {size} codes")
