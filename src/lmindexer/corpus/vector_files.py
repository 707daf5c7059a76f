"""Files of vectors: .npy and .npz of numpy, without ids or with them, and Parquet with ids. Nothing is unpickled."""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmindexer.corpus.cells import id_in
from lmindexer.corpus.fields import ID_NAMES, usual_names
from lmindexer.corpus.parquet import broken, open_parquet
from lmindexer.corpus.records import RecordError
from lmindexer.errors import InputError, excerpt, shortened

Block = tuple[Sequence[str], np.ndarray]  # ids (n) and their vectors (n, D)
BATCH = 8192  # rows of a Parquet file read together
UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, SyntaxError, OverflowError, MemoryError, EOFError, RuntimeError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, NotImplementedError),
)  # what numpy raises for a file that is none of its own, or damaged


@dataclass(frozen=True)
class Rows:
    """Vectors (N, D) without ids."""

    array: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, origin: str) -> "Rows":
        """Raises InputError unless it is a table of numbers."""
        if array.dtype.kind not in "fiu":
            raise InputError(f"the values of type {array.dtype} in {origin} are no numbers; give floats")
        if array.ndim != 2:
            raise InputError(
                f"{origin} has the shape {array.shape}, not (documents, numbers); give one row of numbers a document"
            )
        return cls(array)


def read_file(origin: str, id_column: str = "") -> Rows | Iterator[Block]:
    """What a file holds, a .npy file mapped into memory.

    The ids of a Parquet file stand in `id_column`, if it has one, or the first usual one; the vectors in its one column
    of lists of numbers, or in that named behind a colon, `file.parquet:column`.
    """
    path, column = _path_and_column(origin)
    try:
        is_there = path.exists()
    except OSError:  # a name longer than any
        is_there = False
    if not is_there:
        raise InputError(f"there is no file {shortened(str(path), 200)} to take vectors from; check the path")
    if path.suffix.lower() == ".npy":
        try:
            mapped = np.lib.format.open_memmap(path, mode="c")  # its pages stay the file's until they are written to
        except UNREADABLE as error:
            raise _no_numpy(path, error) from None
        return Rows.of(mapped, origin)
    if path.suffix.lower() == ".npz":
        ids, array = _arrays(path)
        rows = Rows.of(array, origin)
        return rows if ids is None else iter([([_id(value, "ids", origin) for value in ids.tolist()], rows.array)])
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"the folder {path} has no Parquet file; name the file with the vectors in it")
    return (block for file in files for block in _parquet(file, id_column, column))


def _parquet(path: Path, id_column: str, column: str) -> Iterator[Block]:
    file, number = open_parquet(path), 0
    ids_in, vectors_in = _columns(path, file.schema_arrow, id_column, column)
    try:
        for batch in file.iter_batches(batch_size=BATCH, columns=[ids_in, vectors_in]):
            values = batch.column(ids_in).to_pylist()
            ids = [_id(value, ids_in, f"{path}, row {number + n}") for n, value in enumerate(values, 1)]
            if ids:
                yield ids, _table(path, ids, batch.column(vectors_in))
            number += len(ids)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise broken(path, error) from error


def _table(path: Path, ids: list[str], column: pa.Array) -> np.ndarray:
    """A column of lists as rows (n, D). Raises InputError where one is missing, or they are not equally long."""
    column = getattr(column, "storage", column)
    lengths = pc.list_value_length(column)
    if lengths.null_count:
        raise InputError(
            f"{path}: the vector of {excerpt(ids[pc.index(lengths.is_null(), True).as_py()])} is null; mend it, or "
            "leave the row and its document out"
        )
    sizes = lengths.to_numpy(zero_copy_only=False)
    if (other := sizes != sizes[0]).any():
        row = int(other.argmax())
        raise other_width(path, ids[row], int(sizes[row]), int(sizes[0]))
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(ids), int(sizes[0]))


def _columns(path: Path, schema: pa.Schema, id_column: str, column: str) -> tuple[str, str]:
    names = schema.names
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two columns of one name; rename one")
    vectors = [field.name for field in schema if _is_vector(field.type)]
    listed = ", ".join(excerpt(name, 40) for name in names[:12])
    if column and column not in vectors:
        raise InputError(f"{path} has no column of vectors named {excerpt(column)}; its columns are {listed}")
    if not vectors:
        raise InputError(f"{path} has no column of vectors, that is of lists of numbers; its columns are {listed}")
    if not column and len(vectors) > 1:
        raise InputError(
            f"{path} has several columns of vectors, {', '.join(map(excerpt, vectors[:5]))}; name one of them behind "
            f"a colon: {path}:{vectors[0]}"
        )
    ids = next(iter(usual_names(names, (id_column, *ID_NAMES) if id_column in names else ID_NAMES)), "")
    if not ids:
        raise InputError(f"{path} has none of the usual id columns, only {listed}; call the one with the ids 'id'")
    return ids, column or vectors[0]


def _is_vector(kind: pa.DataType) -> bool:
    kind = getattr(kind, "storage_type", kind)
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _arrays(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    """Ids and vectors of a .npz file: its one-dimensional array, if there is one, and the other."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (*UNREADABLE, AttributeError) as error:
        raise _no_numpy(path, error) from None
    ids, others = [x for x in arrays if x.ndim == 1], [x for x in arrays if x.ndim != 1]
    if len(others) != 1 or len(ids) > 1 or (ids and len(ids[0]) != len(others[0])):
        raise InputError(
            f"{path} holds arrays of the shapes {', '.join(str(x.shape) for x in arrays[:5])}; give one array of "
            "vectors, a row each, and beside it at most one of as many ids"
        )
    return ids[0] if ids else None, others[0]


def _path_and_column(origin: str) -> tuple[Path, str]:
    at = origin.lower().rfind(".parquet:")
    return (Path(origin), "") if at < 0 else (Path(origin[: at + 8]), origin[at + 9 :])


def _id(value: Any, name: str, place: str) -> str:
    try:
        return id_in(value, name)
    except RecordError as fault:
        raise InputError(f"{place}: {fault}") from None


def _no_numpy(path: Path, error: BaseException) -> InputError:
    cause = shortened(str(error).partition("\n")[0].strip(". "), 120) or type(error).__name__
    if "pickle" in cause or "Object arrays" in cause or "Python objects" in cause:
        cause = "it holds pickled objects, which can run any code and are not opened"
    return InputError(
        f"{path} is no file of numbers that numpy saved, or not a whole one ({cause}); write it again with "
        "numpy.save, as an array of floats"
    )


def other_width(origin: object, doc_id: str, width: int, first: int) -> InputError:
    """What to raise for a vector of another width than those before it."""
    return InputError(
        f"{origin}: the vector of {excerpt(doc_id)} has {width:,} numbers, and the first {first:,}; all must have the "
        "same number of them"
    )
