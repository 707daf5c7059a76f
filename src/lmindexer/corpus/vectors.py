"""Vectors that users bring, one a document: from a file or from Python, checked, in the order of a corpus.

A .npy file is mapped into memory, and a Parquet file read in batches into the one array that is used.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vector_files import Block, Rows, other_width, read_file
from lmindexer.errors import InputError, excerpt

CELLS = 2**22  # numbers checked at a time
LARGEST, SMALLEST = 1e18, 1e-9  # of the largest number of a vector: beyond, its length is lost in single precision


@dataclass(frozen=True, eq=False)
class Vectors:
    """Row n is of document n: half or single precision, finite."""

    array: np.ndarray  # (N, D)
    origin: str  # the name of the file, or "the given vectors"
    distinct: int  # different vectors among them
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return int(self.array.shape[1])

    @property
    def facts(self) -> dict[str, Any]:
        """What a run remembers of them."""
        return {"file": Path(self.origin).name, "width": self.width, "digest": self.digest}

    @cached_property
    def digest(self) -> str:
        """The same for the same numbers in the same order, whatever file they came from."""
        digest = hashlib.blake2b(f"{self.array.dtype} {self.array.shape}".encode(), digest_size=16)
        for part in _parts(self.array):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


Source = str | Path | np.ndarray | Mapping[str, Any] | Vectors


def read_vectors(
    source: Source, corpus: Corpus, rows: Iterable[int] | None = None, width: int | None = None
) -> Vectors:
    """The vectors of the documents of a corpus, or of some of its `rows`.

    `source`: a .parquet or .npz file with ids, or in Python a mapping from id to vector; or rows without ids: of a
    .npy file row n is of record n of the files that the corpus was read from, of a numpy array of document n.

    Raises:
        InputError: that names the file, for a file that cannot be read, documents without a vector, two vectors of
            one id, numbers that are not finite, or vectors of another `width`.
    """
    some = np.arange(len(corpus)) if rows is None else np.fromiter(rows, np.int64)
    doc_ids = [corpus.doc_ids[row] for row in some.tolist()]
    if isinstance(source, Vectors):
        return _checked(source.array[some], source.origin, doc_ids, width)
    if isinstance(source, str | Path):
        origin = str(source)
        content = read_file(origin, corpus.fields.id if corpus.fields else "")
        if isinstance(content, Rows):
            return _checked(_of_records(content.array, corpus, some, origin), origin, doc_ids, width)
        array, extra = _gathered(content, corpus, doc_ids, origin)
        return _checked(array, origin, doc_ids, width, extra)
    origin = "the given vectors"
    if isinstance(source, Mapping):
        array, extra = _gathered(_blocks_of(source, origin), corpus, doc_ids, origin)
        return _checked(array, origin, doc_ids, width, extra)
    array = Rows.of(_array(source, origin), origin).array
    if len(array) != len(corpus):
        raise InputError(f"{origin} are {len(array):,}, and there are {len(corpus):,} documents; give one a document")
    return _checked(_taken(array, some), origin, doc_ids, width)


def _of_records(array: np.ndarray, corpus: Corpus, rows: np.ndarray, origin: str) -> np.ndarray:
    """Those of documents that stand in no file with ids: a row for each record read, left out or not."""
    if len(array) != corpus.records:
        left_out = corpus.records - len(corpus)
        raise InputError(
            f"{origin} has {len(array):,} vectors for {corpus.records:,} records"
            + (f" (of which {left_out:,} are no documents)" if left_out else "")
            + "; without ids row n is of record n of the files, so give a vector for each record, or Parquet with ids"
        )
    return _taken(array, np.asarray(corpus.record_of)[rows])


def _taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows in half or single precision; the array itself where it is all of them as they should be."""
    kind = stored_type(array.dtype)
    if array.dtype == kind and len(rows) == len(array) and (rows == np.arange(len(rows))).all():
        return array
    found = np.empty((len(rows), array.shape[1]), kind)
    size = max(CELLS // max(array.shape[1], 1), 1)
    with np.errstate(over="ignore"):
        for at in range(0, len(rows), size):
            found[at : at + size] = array[rows[at : at + size]]
    return found


def _gathered(blocks: Iterable[Block], corpus: Corpus, doc_ids: list[str], origin: str) -> tuple[np.ndarray, int]:
    """The vectors (n, D) of these documents by their ids, and how many others there are."""
    place_of = {doc_id: place for place, doc_id in enumerate(doc_ids)}
    found, seen, extra, other = None, np.zeros(len(doc_ids), dtype=bool), 0, ""
    for ids, vectors in blocks:
        if found is None:
            found = np.empty((len(doc_ids), vectors.shape[1]), stored_type(vectors.dtype))
        if vectors.shape[1] != found.shape[1]:
            raise other_width(origin, ids[0], vectors.shape[1], found.shape[1])
        places, rows = [], []
        for row, doc_id in enumerate(ids):
            place = place_of.get(doc_id)
            if place is None:
                extra += doc_id not in corpus.row_of
                other = other or doc_id
            elif seen[place]:
                raise InputError(f"{origin} has two vectors with the id {excerpt(doc_id)}; leave one of them out")
            else:
                seen[place] = True
                places.append(place)
                rows.append(row)
        with np.errstate(over="ignore"):
            found[places] = vectors[rows]
    if found is None:
        raise InputError(f"{origin} holds no vectors; give one a document")
    if not seen.all():
        one = f"; one id there is {excerpt(other)}" if other and not seen.any() else ""
        raise InputError(
            f"{int((~seen).sum()):,} of {len(seen):,} documents have no vector in {origin}, the first: "
            f"{excerpt(doc_ids[int(seen.argmin())])}{one}; give each one, or leave these documents out of the files"
        )
    return found, extra


def _blocks_of(vectors: Mapping[str, Any], origin: str) -> Iterator[Block]:
    for doc_id, vector in vectors.items():
        yield [str(doc_id)], Rows.of(_array(vector, origin)[None], f"{origin} of {excerpt(doc_id)}").array


def _array(value: Any, origin: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # of a tensor on a GPU, or rows of unlike width
        raise InputError(f"{origin} are no numpy array and cannot be made one ({error}); give one of floats") from None


def _checked(array: np.ndarray, origin: str, doc_ids: list[str], width: int | None, extra: int = 0) -> Vectors:
    if width not in (None, array.shape[1]):
        raise InputError(
            f"{origin} has vectors of {array.shape[1]:,} numbers, and the run was learned from vectors of {width:,}; "
            "make them as those were made"
        )
    if not array.shape[1]:
        raise InputError(f"{origin} has vectors without any number; give at least one")
    array = np.require(_taken(array, np.arange(len(array))), requirements=["C", "W"])  # as torch takes it
    zero, kinds = list[int](), set[int]()
    at = 0
    for part in _parts(array):
        size = np.abs(part).max(axis=1).astype(np.float32)
        if (bad := ~(size <= LARGEST)).any():
            raise InputError(
                f"{origin}: the vector of {excerpt(doc_ids[at + int(bad.argmax())])} holds a number that is NaN, "
                f"infinite or beyond {LARGEST:g}; mend it, or leave the document out"
            )
        zero += (at + np.flatnonzero(size < SMALLEST)).tolist()
        kinds.update(hash(row.tobytes()) for row in part)
        at += len(part)
    return Vectors(array, origin, len(kinds), tuple(_notes(origin, doc_ids, zero, len(kinds), extra)))


def _notes(origin: str, doc_ids: list[str], zero: list[int], distinct: int, extra: int) -> Iterator[str]:
    if extra:
        yield f"ids in {origin} that no document here has: {extra:,}; their vectors are left out"
    if zero:
        yield (
            f"{len(zero):,} of {len(doc_ids):,} vectors of {origin} are zero, the first that of "
            f"{excerpt(doc_ids[zero[0]])}: they are near to nothing, and their documents get the same codes"
        )
    if distinct < len(doc_ids):
        yield (
            f"the {len(doc_ids):,} documents have {distinct:,} different vectors in {origin}; those of one vector get "
            "the same codes, and only the last number of an ID tells them apart"
        )


def stored_type(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Half precision stays, all else becomes single."""
    return np.dtype(np.float16 if kind.kind == "f" and kind.itemsize == 2 else np.float32)


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    size = max(CELLS // max(array.shape[1], 1), 1)
    return (array[at : at + size] for at in range(0, len(array), size))
