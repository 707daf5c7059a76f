"""Residual K-means: cluster the vectors, then what the centres leave of them, and so on ("rq-kmeans")."""

from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.indexers.clusters import in_chunks, kmeans, nearest, residual_codes, sample_rows, unit
from lmindexer.progress import Progress


@dataclass(frozen=True)
class ResidualKMeans:
    """One book of centres (K, D) a position; only the direction of a vector counts."""

    sizes: tuple[int, ...]
    books: tuple[Tensor, ...]  # T; a book is shorter than its size where there were fewer distinct vectors

    @classmethod
    def fit(cls, vectors: Tensor, config: LearnConfig, progress: Progress) -> Self:
        """All books are learned from one sample, as large as the largest of them needs."""
        rows = sample_rows(len(vectors), max(config.sizes), config.seed).to(vectors.device)
        rest, books = unit(vectors[rows]), []
        for t, size in enumerate(config.sizes):
            progress.at("residual K-means", t, len(config.sizes), 0)
            books.append(kmeans(rest, size, config.seed + t))
            rest -= books[t][in_chunks(partial(nearest, centres=books[t]), rest)]
        return cls(config.sizes, tuple(books))

    @torch.no_grad()
    def codes(self, vectors: Tensor) -> np.ndarray:
        books = [book.to(vectors.device) for book in self.books]
        codes = in_chunks(lambda part: residual_codes(unit(part), books), vectors)
        return codes.cpu().numpy().astype(np.int32)

    def tensors(self) -> dict[str, Tensor]:
        return {f"book.{t}": book for t, book in enumerate(self.books)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], config: LearnConfig) -> Self:
        return cls(config.sizes, tuple(tensors[f"book.{t}"] for t in range(len(config.sizes))))
