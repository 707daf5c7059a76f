"""Vectors of a run's documents, kept in the run: each text is encoded once, also when documents come and go."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.files import write_atomically


def keys_of(corpus: Corpus) -> Iterator[tuple[str, str]]:
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
            save_vectors(path, corpus, vectors)
    return vectors


def save_vectors(path: Path, corpus: Corpus, vectors: Tensor) -> None:
    """The file that `vectors_of` reads."""
    flat = pa.array(vectors.cpu().numpy().reshape(-1))
    doc_ids, digests = zip(*keys_of(corpus), strict=True)
    columns = {"id": pa.array(doc_ids, pa.string()), "text": pa.array(digests, pa.string())}
    table = pa.table(columns | {"vectors": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    write_atomically(path, lambda to: pq.write_table(table, to, write_page_checksum=True))


def _load(path: Path, dim: int) -> dict[tuple[str, str], np.ndarray]:
    """By `keys_of`; none where there is no whole file of this width, as all can be read anew."""
    try:
        table = pq.read_table(path, columns=["id", "text", "vectors"], page_checksum_verification=True)
        vectors = table["vectors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).copy()
        keys = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
        return dict(zip(keys, vectors.reshape(len(table), dim), strict=True))
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return {}
