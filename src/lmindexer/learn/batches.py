"""Which documents stand together in a batch: similar length, and for Eq. 9 a shared prefix."""

import numpy as np
from jaxtyping import Int

from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.ids.quality import path_ids

MATES = 16  # documents of one prefix that stay together: enough to contrast, few enough to be alike in length


def prefix_batches(
    codes: Int[np.ndarray, "N t"],
    lengths: Int[np.ndarray, " N"],
    batch_size: int,
    rng: np.random.Generator,
    pool: int = 32,
) -> list[np.ndarray]:
    """Every row once, in batches of rows that share a prefix with others of the batch (Eq. 9).

    At t = 0 all documents share the empty prefix: batches by length. Beyond, up to `MATES` documents of
    one prefix, of similar length, stay together. `pool` batches' worth of such shuffled units are sorted
    by length before they are cut, which keeps padding low. Deterministic given `rng`.
    """
    N, t = codes.shape
    if t == 0:
        return length_bucketed_batches(lengths, batch_size, rng)
    unit = _units(path_ids(codes), lengths, min(MATES, batch_size), rng)  # (N,)
    size = np.bincount(unit)
    longest = np.zeros(len(size))
    np.maximum.at(longest, unit, lengths)
    shuffled = rng.permutation(len(size))
    pool_of = np.cumsum(size[shuffled]) // (pool * batch_size)
    ordered = shuffled[np.lexsort((longest[shuffled], pool_of))]
    place = np.empty(len(size), np.int64)
    place[ordered] = np.arange(len(size))
    rows = np.argsort(place[unit], kind="stable")
    batches = [rows[i : i + batch_size] for i in range(0, N, batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _units(group: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """For every row, which unit it belongs to: rows of one group, at most `size`, of similar length."""
    jittered = lengths * rng.uniform(0.8, 1.25, len(lengths))  # other company in every epoch
    order = np.lexsort((jittered, group))
    sizes = np.bincount(group)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    within = (np.arange(len(group)) - starts) // size
    pair = np.stack([group[order], within], 1)
    fresh = np.r_[0, np.any(pair[1:] != pair[:-1], axis=1).cumsum()]
    unit = np.empty(len(group), np.int64)
    unit[order] = fresh
    return unit
