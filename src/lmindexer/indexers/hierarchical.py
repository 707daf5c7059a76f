"""Hierarchical clustering ("hc"): the semantic IDs of DSI (Tay et al. 2022, section 3.2, Algorithm 1).

K-means divides the documents, then each cluster of more than `leaf` documents, and so on. DSI's arbitrary
number within a leaf is the suffix of the IdTable.
"""

from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.indexers.clusters import in_chunks, kmeans, nearest, sample_rows, unit
from lmindexer.progress import Progress


@dataclass(frozen=True)
class HierarchicalClustering:
    """A tree of centres; only the direction of a vector counts.

    Centre c of node m is row first[m] + c. A path that ends in a leaf early goes on with code 0, so
    every path is as long as the tree is deep.
    """

    sizes: tuple[int, ...]  # clusters, as often as the tree is deep
    centres: Tensor  # (C, D), of all nodes that are divided
    first: Tensor  # (M + 1,) int64
    child: Tensor  # (C,) int64: the node below a centre, -1: a leaf

    @classmethod
    def fit(cls, vectors: Tensor, config: LearnConfig, progress: Progress) -> Self:
        """The root is always divided; a cluster that K-means cannot split, all its vectors equal, never."""
        centres, first, child = [vectors.new_zeros(0, vectors.shape[1], dtype=torch.float32)], [0], list[int]()
        waiting = deque([(torch.arange(len(vectors), device=vectors.device), 0, -1)])
        depth, settled = 1, 0
        while waiting:
            rows, level, above = waiting.popleft()
            sample = sample_rows(len(rows), config.clusters, config.seed).to(rows.device)
            here = kmeans(unit(vectors[rows[sample]]), config.clusters, config.seed)
            codes = _nearest_of(vectors, rows, here)
            if len(codes.unique()) < 2:
                settled += len(rows)
                continue
            if above >= 0:
                child[above] = len(first) - 1
            for c in range(len(here)):
                below = rows[codes == c]
                if len(below) > config.leaf:
                    waiting.append((below, level + 1, first[-1] + c))
                else:
                    settled += len(below)
            centres.append(here)
            child += [-1] * len(here)
            first.append(first[-1] + len(here))
            depth = level + 1  # breadth first: levels only grow
            progress.at("hierarchical clustering", 0, 1, settled / len(vectors))
        numbers = (torch.tensor(x, dtype=torch.long, device=vectors.device) for x in (first, child))
        return cls((config.clusters,) * depth, torch.cat(centres), *numbers)

    @torch.no_grad()
    def codes(self, vectors: Tensor) -> np.ndarray:
        codes = np.zeros((len(vectors), len(self.sizes)), np.int32)
        centres = self.centres.to(vectors.device)
        first, child = self.first.tolist(), self.child.cpu().numpy()
        node = np.zeros(len(vectors), np.int64) if len(first) > 1 else np.full(len(vectors), -1)
        for t in range(len(self.sizes)):
            order = np.argsort(node, kind="stable")
            order = order[np.searchsorted(node[order], 0) :]  # those still above a leaf
            present, starts = np.unique(node[order], return_index=True)
            for m, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=False):
                places = torch.from_numpy(rows).to(vectors.device)
                codes[rows, t] = _nearest_of(vectors, places, centres[first[m] : first[m + 1]]).cpu().numpy()
                node[rows] = child[first[m] + codes[rows, t]]
        return codes

    def tensors(self) -> dict[str, Tensor]:
        return {"sizes": torch.tensor(self.sizes), "centres": self.centres, "first": self.first, "child": self.child}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], config: LearnConfig) -> Self:
        sizes = tuple(tensors["sizes"].tolist())
        return cls(sizes, tensors["centres"], tensors["first"], tensors["child"])


def _nearest_of(vectors: Tensor, rows: Tensor, centres: Tensor) -> Tensor:
    """The nearest centre (n,) to the direction of some rows of the vectors."""
    return in_chunks(lambda part: nearest(unit(part), centres), vectors, rows)
