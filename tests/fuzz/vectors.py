"""Files of vectors made odd: numbers, shapes, types, ids, and bytes."""

import io
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.tables import NAMES, Made
from fuzz.words import mangled, value

WIDTH = 6
KINDS = ["f2", "f4", "f8", ">f4", "i1", "u8", "?", "c8", "S3", "U2", "M8[s]", "O"]
NUMBERS = [float("nan"), float("inf"), 0.0, -0.0, 1e300, 1e38, 1e19, 1e-30, -1.0, 65504.0, 1e5]


def usual(ids: Sequence[str]) -> np.ndarray:
    """The vectors of these documents as they should be."""
    return np.random.default_rng(len(ids)).normal(size=(len(ids), WIDTH)).astype(np.float32)


def vectors(dice: random.Random, ids: Sequence[str]) -> Made:
    """A vector for each of the ids, or nearly; `records` 1 where nothing is odd."""
    array: np.ndarray = usual(ids)
    whole = dice.random() < 0.2
    if not whole:
        array = _odd(dice, array)
    names: list[Any] = [*ids]
    if not whole and dice.random() < 0.4:
        names[dice.randrange(len(names))] = dice.choice([value(dice), "doc1", 7, 1.5])
    suffix = dice.choice([".npy", ".npz", ".parquet", ".parquet"])
    content = _as_parquet(dice, names, array, whole) if suffix == ".parquet" else _as_numpy(dice, suffix, names, array)
    changed = content if whole else mangled(dice, content)
    return Made(suffix, changed, 1 if whole else None)


def _odd(dice: random.Random, array: np.ndarray) -> np.ndarray:
    for _ in range(dice.randint(1, 2)):
        change = dice.randrange(8)
        if change == 0:
            array = array.astype(np.float64)
            array[dice.randrange(len(array) or 1) :][:1] = dice.choice(NUMBERS)
        elif change == 1:
            array = array[: dice.randint(0, len(array))]
        elif change == 2 and array.ndim > 1:
            array = array[:, : dice.randint(0, WIDTH)]
        elif change == 3:
            array = array.reshape(dice.choice([(-1,), (len(array), -1, 1), (1, -1), (-1, 1)]))
        elif change == 4:
            array = np.asfortranarray(array)
        elif change == 5:
            array = np.zeros_like(array) + dice.choice(NUMBERS)
        elif change == 6:
            array = np.repeat(array, dice.choice([1, 2, 100]), axis=-1)
        if array.size == 0:
            break
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return array.astype(dice.choice(KINDS)) if dice.random() < 0.4 else array
        except (TypeError, ValueError):
            return array


def _as_numpy(dice: random.Random, suffix: str, names: list[Any], array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, array)
        return buffer.getvalue()
    try:
        ids = np.array(names) if dice.random() < 0.8 else np.array(names, object)
    except ValueError:  # lists among them
        ids = np.array([str(name) for name in names])
    more = {"more": array} if dice.random() < 0.1 else {}
    np.savez(buffer, vectors=array, **({"ids": ids} if dice.random() < 0.7 else {}), **more)
    return buffer.getvalue()


def _as_parquet(dice: random.Random, names: list[Any], array: np.ndarray, whole: bool) -> bytes:
    """Rows as lists, some of them odd, under names that are usual or not."""
    rows: list[Any] = array.tolist() if array.ndim else []
    if not whole and rows and dice.random() < 0.4:
        rows[dice.randrange(len(rows))] = dice.choice([None, [], [None], [1.0], value(dice), [float("nan")] * WIDTH])
    columns: dict[str, Any] = {"id": names[: len(rows)], "vector": rows[: len(names)]}
    if not whole and dice.random() < 0.2:
        columns[dice.choice([name for name in NAMES if name])] = rows[: len(names)]
    if not whole and dice.random() < 0.2:
        columns = {dice.choice([name, "sku", ""]): cells for name, cells in columns.items()}
    buffer = io.BytesIO()
    try:
        pq.write_table(pa.table({name: _cells(dice, cells) for name, cells in columns.items()}), buffer)
    except (pa.ArrowException, ValueError):  # columns that cannot stand side by side
        return b""
    return buffer.getvalue()


def _cells(dice: random.Random, cells: list[Any]) -> pa.Array:
    try:
        return pa.array(cells)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeEncodeError):
        return pa.array([ascii(cell) for cell in cells])
