"""Which documents stand together in a batch: similar length, and for Eq. 9 a shared prefix."""

import numpy as np
from jaxtyping import Int

from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.ids.quality import path_ids


def prefix_batches(
    codes: Int[np.ndarray, "N t"],
    lengths: Int[np.ndarray, " N"],
    batch_size: int,
    rng: np.random.Generator,
    pool: int = 8,
) -> list[np.ndarray]:
    """Every row once, in batches of rows that share a prefix with others of the batch (Eq. 9).

    At t = 0 all documents share the empty prefix: batches by length. Beyond, whole groups of one prefix
    are put together; a group larger than a batch is cut. `pool` batches' worth of shuffled groups are
    sorted by length before they are cut, which keeps padding low. Deterministic given `rng`.
    """
    N, t = codes.shape
    if t == 0:
        return length_bucketed_batches(lengths, batch_size, rng)
    group = path_ids(codes)  # (N,)
    chunk = _chunk_in_group(group, batch_size, rng)  # groups larger than a batch become several
    unit = np.unique(np.stack([group, chunk], 1), axis=0, return_inverse=True)[1].ravel()
    size = np.bincount(unit)
    mean_length = np.bincount(unit, lengths) / size
    shuffled = rng.permutation(len(size))
    pool_of = np.cumsum(size[shuffled]) // (pool * batch_size)
    ordered = shuffled[np.lexsort((mean_length[shuffled], pool_of))]
    place = np.empty(len(size), np.int64)
    place[ordered] = np.arange(len(size))
    rows = np.argsort(place[unit], kind="stable")
    batches = [rows[i : i + batch_size] for i in range(0, N, batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _chunk_in_group(group: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """For every row, which batch-sized piece of its group it falls into, at random."""
    order = np.lexsort((rng.random(len(group)), group))
    sizes = np.bincount(group)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    chunk = np.empty(len(group), np.int64)
    chunk[order] = (np.arange(len(group)) - starts) // batch_size
    return chunk
