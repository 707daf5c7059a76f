"""Who comes first of documents with equal scores: a seeded hash of the id says so, and no place in a file does."""

import hashlib
from collections.abc import Sequence

import numpy as np

SEED = b"lmindexer"  # another seed is another order, everywhere


def tie_key(doc_id: str) -> bytes:
    """8 bytes of BLAKE2b: of equal scores the document with the lower key comes first. The same in every process."""
    return hashlib.blake2b(doc_id.encode("utf-8", "surrogatepass"), digest_size=8, key=SEED).digest()


def tie_ranks(doc_ids: Sequence[str]) -> np.ndarray:
    """(N,) int32: the place of each document among all of them in the order of `tie_key`, from 0."""
    keys = np.frombuffer(b"".join(map(tie_key, doc_ids)), dtype=">u8")
    ranks = np.empty(len(keys), dtype=np.int32)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(keys), dtype=np.int32)
    return ranks
