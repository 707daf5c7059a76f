"""K-means on directions: the start of every codebook, so that look-up and clusters agree (section 3.2).

`indexers.clusters` has the Euclidean one of the baselines. Their centres move by unlike rules: here a cluster is chosen
by a score with a prior and a centre is a direction, there both follow scikit-learn.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Clusters:
    """Centres (K, D), each of length sqrt(D), and the prior (K) that look-up adds to `centre . h / sqrt(D)`."""

    centres: Tensor
    prior: Tensor


@torch.no_grad()
def kmeans(
    hidden: Tensor,
    size: int,
    seed: int,
    crowding: float = 0.0,
    far_apart: bool = False,
    iterations: int = 25,
    sample: int = 256,
) -> Clusters:
    """Spherical K-means of hidden (N, D), on hidden's own device.

    With equal-length centres `argmax h . e` is the nearest one, so the codes right after this are its
    clusters. `crowding` > 0 adds crowding * log(share of a cluster) to the scores, as a mixture model
    does (and entropy-constrained quantisation, Chou et al. 1989): clusters grow as uneven as the data is.
    Starts from random vectors, or from `far_apart` ones (k-means++, Arthur and Vassilvitskii 2007), which
    gives outliers clusters of their own. A centre that no vector chooses restarts at the vector worst
    served. Of more than `sample` vectors a centre a sample is taken. Deterministic given `seed`.
    """
    generator = torch.Generator().manual_seed(seed)
    N, D = hidden.shape
    if sample * size < N:
        hidden = hidden[torch.randperm(N, generator=generator)[: sample * size].sort().values.to(hidden.device)]
    points = F.normalize(hidden.float(), dim=-1)
    centres = points[_start(points, size, seed, far_apart)]
    prior = torch.zeros(size, device=points.device)
    for _ in range(iterations):
        similarity, chosen = _nearest(points, centres, prior / D**0.5)
        total = torch.zeros_like(centres).index_add_(0, chosen, points)
        count = torch.bincount(chosen, minlength=size)
        empty = count == 0
        missing = int(empty.sum())
        if missing:
            worst = similarity.argsort(dim=0, stable=True)
            total[empty] = points[worst[torch.arange(missing, device=worst.device) % len(worst)]]
        updated = F.normalize(total, dim=-1)
        log_share = (count / len(points)).clamp_min(0.1 / size).log()  # a restarted centre is not shut out
        prior = crowding * (log_share - log_share.max())
        if torch.equal(updated, centres):
            break
        centres = updated
    return Clusters(centres * D**0.5, prior)


def group_means(vectors: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The mean (G, D) of the vectors (N, D) of each group (N,), and how many it has (G,); 0 of those with none."""
    count = torch.bincount(group, minlength=groups)
    total = torch.zeros(groups, vectors.shape[1], device=vectors.device).index_add_(0, group, vectors)
    return total / count.clamp_min(1)[:, None], count


def _nearest(points: Tensor, centres: Tensor, prior: Tensor | float = 0.0, chunk: int = 16384) -> tuple[Tensor, Tensor]:
    best = [(part @ centres.T + prior).max(1) for part in points.split(chunk)]
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])


def _start(points: Tensor, size: int, seed: int, far_apart: bool) -> Tensor:
    """Rows (K) of the points to start from; with fewer points than codes, some twice."""
    rows = np.random.default_rng(seed).permutation(len(points))
    if far_apart and size < len(points):
        from sklearn.cluster import kmeans_plusplus

        sample = rows[: max(20 * size, 10_000)]
        rows = sample[
            kmeans_plusplus(points[torch.from_numpy(sample).to(points.device)].cpu().numpy(), size, random_state=seed)[
                1
            ]
        ]
    return torch.from_numpy(np.resize(rows, size)).to(points.device)
