"""The second step of embed-then-quantise: vectors -> codes. One file a way, one line in QUANTISERS."""

from typing import Protocol, Self

import numpy as np
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.indexers.hierarchical import HierarchicalClustering
from lmindexer.indexers.random_codes import RandomCodes
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.indexers.rq_vae import RqVae
from lmindexer.progress import Progress


class Quantiser(Protocol):
    """Gives each vector a path of codes; learned once, then the same for vectors never seen."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """T: codes at each position."""
        ...

    @classmethod
    def fit(cls, vectors: Tensor, config: LearnConfig, progress: Progress) -> Self:
        """Learn from vectors (N, D), on their device. Deterministic given config.seed on a CPU."""
        ...

    def codes(self, vectors: Tensor) -> np.ndarray:
        """Codes (n, T) int32 of vectors (n, D); a vector's codes do not depend on its company."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that `of` needs to make it again."""
        ...

    @classmethod
    def of(cls, tensors: dict[str, Tensor], config: LearnConfig) -> Self: ...


QUANTISERS: dict[str, type[Quantiser]] = {
    "rq-vae": RqVae,
    "hc": HierarchicalClustering,
    "rq-kmeans": ResidualKMeans,
    "random": RandomCodes,
}
