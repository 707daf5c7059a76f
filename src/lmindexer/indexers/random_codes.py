"""Random codes, the floor of every comparison ("random"): a document's path is drawn from its id alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import shake_128
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.progress import Progress


def random_vectors(doc_ids: Sequence[str], T: int, seed: int) -> Tensor:
    """Numbers (N, T) in [0, 1), double precision, hashed from seed and id: the same in any company."""
    drawn = b"".join(shake_128(f"{seed}\n{doc_id}".encode()).digest(8 * T) for doc_id in doc_ids)
    bits = np.frombuffer(drawn, "<u8").reshape(len(doc_ids), T) >> np.uint64(11)  # as many as a double holds
    return torch.from_numpy(bits / 2.0**53)


@dataclass(frozen=True)
class RandomCodes:
    """Learns nothing; its vectors are `random_vectors`."""

    sizes: tuple[int, ...]

    @classmethod
    def fit(cls, vectors: Tensor, config: LearnConfig, progress: Progress) -> Self:
        return cls(config.sizes)

    def codes(self, vectors: Tensor) -> np.ndarray:
        """Codes (n, T) int32 of numbers (n, T) in [0, 1)."""
        sizes = np.array(self.sizes)
        codes = np.floor(vectors.cpu().double().numpy() * sizes)
        return np.minimum(codes, sizes - 1).astype(np.int32)  # half precision rounds up to 1

    def tensors(self) -> dict[str, Tensor]:
        return {"sizes": torch.tensor(self.sizes)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], config: LearnConfig) -> Self:
        return cls(tuple(tensors["sizes"].tolist()))
