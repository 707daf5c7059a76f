"""Vectors of a run's documents, kept in the run: each text is encoded once, also when documents come and go.

Those that users brought are kept in the same form: they cannot be made again.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmindexer.checkpoints import save_weights
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError, excerpt
from lmindexer.files import write_atomically
from lmindexer.indexers.store import width_of
from lmindexer.learn.vector_memories import axes_of
from lmindexer.runs import Run

VECTORS, AXES = "vectors.parquet", "axes.safetensors"  # that users brought; what makes wide ones narrower
Key = tuple[str, str]  # id and digest of the text
UNREADABLE = OSError, ValueError, KeyError, pa.ArrowException  # of a file that is missing or damaged


def keys_of(corpus: Corpus) -> Iterator[Key]:
    """Id and digest of the text: a document that was removed may come back with another text."""
    texts = chain.from_iterable(corpus.text_batches(10_000))
    for doc_id, text in zip(corpus.doc_ids, texts, strict=True):
        yield doc_id, hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def vectors_of(corpus: Corpus, path: Path, dim: int, read: Callable[[list[int]], Tensor], keep: bool) -> Tensor:
    """Vectors (N, D) of all documents in half precision: those in the file of the same texts, others by `read`.

    `read` gives those of some rows (n, D). `keep`: write the file anew where any was read; a folder that cannot be
    written to is let be.
    """
    keys, kept = list(keys_of(corpus)), _load(path, dim)
    new = [row for row, key in enumerate(keys) if key not in kept]
    if new:
        kept |= zip((keys[row] for row in new), read(new).cpu().half().numpy(), strict=True)
    vectors = torch.from_numpy(np.stack([kept[key] for key in keys]))
    if new and keep:
        with contextlib.suppress(OSError, InputError):
            save_vectors(path, keys, vectors)
    return vectors


def save_vectors(path: Path, keys: Sequence[Key], vectors: Tensor) -> None:
    """The file that `vectors_of` reads: the vectors (N, D) of N documents by their keys."""
    flat = pa.array(vectors.cpu().numpy().reshape(-1))
    save_keys(path, keys, vectors=pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))


def save_given(path: Path, corpus: Corpus, vectors: np.ndarray) -> None:
    """The vectors (N, D) that users brought for the documents of a corpus."""
    save_vectors(path, list(keys_of(corpus)), torch.from_numpy(vectors))


def load_given(run: Run, corpus: Corpus) -> np.ndarray:
    """The vectors (N, D) that users brought for these documents of a run. Raises InputError where one has none."""
    path, width = run.file(VECTORS), width_of(run)
    try:
        keys, table = load_keys(path, "vectors")
        flat = table["vectors"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors: np.ndarray = flat.reshape(len(keys), -1).copy()
        if vectors.dtype.kind != "f" or vectors.shape[1] != width or not np.isfinite(vectors).all():
            raise ValueError("its vectors are not the run's")
    except UNREADABLE as error:
        raise InputError(f"{path} is damaged ({error}); take it from a copy, or learn the run anew") from None
    if keys == (wanted := list(keys_of(corpus))):
        return vectors
    place = {key: row for row, key in enumerate(keys)}
    if missing := next((key for key in wanted if key not in place), None):
        raise InputError(f"{path} has no vector of the document {excerpt(missing[0])}; learn the run anew")
    return vectors[[place[key] for key in wanted]]


def axes_for(run: Run, vectors: np.ndarray, dim: int) -> Tensor | None:
    """What makes vectors of `dim` numbers of those that a run's documents have: as kept in the run, else `axes_of`
    these (N, width); None where they are not wider.

    Raises InputError where what was kept is damaged.
    """
    if not run.has(AXES):
        return axes_of(vectors, dim, run.config.seed)
    path = run.file(AXES)
    try:
        axes = load_file(path)["axes"]
        if axes.shape != (vectors.shape[1], dim) or not bool(axes.isfinite().all()):
            raise ValueError("its axes are not the run's")
    except (*UNREADABLE, SafetensorError) as error:
        raise InputError(f"{path} is damaged ({error}); take it from a copy, or learn the run anew") from None
    return axes


def save_axes(run: Run, axes: Tensor) -> None:
    """Keep what `axes_for` gave: later vectors are to become narrower in the same way."""
    save_weights(run.path / AXES, {"axes": axes})


def save_keys(path: Path, keys: Sequence[Key], **columns: pa.Array) -> None:
    """A file of documents by their keys, perhaps with more `columns`; its pages have checksums."""
    doc_ids, digests = zip(*keys, strict=True)
    keyed = {"id": pa.array(doc_ids, pa.string()), "text": pa.array(digests, pa.string())}
    table = pa.table(keyed | columns)
    write_atomically(path, lambda to: pq.write_table(table, to, write_page_checksum=True))


def load_keys(path: Path, *columns: str) -> tuple[list[Key], pa.Table]:
    """The keys in a file that `save_keys` wrote, and all that was read. Raises one of UNREADABLE for a damaged one."""
    table = pq.read_table(path, columns=["id", "text", *columns], page_checksum_verification=True)
    return list(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)), table


def _load(path: Path, dim: int) -> dict[Key, np.ndarray]:
    """By `keys_of`; none where there is no whole file of this width, as all can be read anew."""
    try:
        keys, table = load_keys(path, "vectors")
        vectors = table["vectors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).copy()
        return dict(zip(keys, vectors.reshape(len(table), dim), strict=True))
    except UNREADABLE:
        return {}
