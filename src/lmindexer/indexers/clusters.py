"""Euclidean K-means and look-up by nearest centre: the ground that every two-step quantiser stands on."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ITERATIONS = 25  # of Lloyd's algorithm, at most
START_VECTORS = 10_000  # k-means++ looks at so many vectors, or four a centre where that is more
SAMPLE = 256, 32, 1 << 18  # vectors a centre to learn from: so many if there are, but not more ...
# ... in all than the last number, as long as it leaves the middle one a centre


def unit(vectors: Tensor) -> Tensor:
    """Vectors (n, D) in single precision and of length 1."""
    return F.normalize(vectors.float(), dim=1)


def sample_rows(N: int, size: int, seed: int) -> Tensor:
    """Rows, in order, of the vectors that `size` centres are learned from: all N, or a sample."""
    most, least, in_all = SAMPLE
    wanted = size * min(most, max(least, in_all // size))
    if wanted >= N:
        return torch.arange(N)
    return torch.randperm(N, generator=torch.Generator().manual_seed(seed))[:wanted].sort().values


@torch.no_grad()
def kmeans(vectors: Tensor, size: int, seed: int) -> Tensor:
    """Centres (K, D) of vectors (N, D) in single precision, on their device; deterministic given `seed`.

    K = `size`, but with no more vectors than that every distinct one is its own centre and K is their
    number. K-means++ (Arthur and Vassilvitskii 2007), then Lloyd's algorithm; a centre that loses all
    its vectors moves to the vector farthest from its own, which leaves its cluster, as in scikit-learn.
    """
    vectors = vectors[sample_rows(len(vectors), size, seed).to(vectors.device)].float()
    if len(vectors) <= size:
        return _distinct(vectors)
    centres = vectors[_start(vectors, size, seed)]
    return lloyd_on_cpu(vectors, centres) if vectors.device.type == "cpu" else lloyd(vectors, centres)


def lloyd_on_cpu(vectors: Tensor, centres: Tensor) -> Tensor:
    """Lloyd's algorithm by scikit-learn; overwrites `vectors`."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    method = KMeans(len(centres), init=centres.numpy(), n_init=1, max_iter=ITERATIONS, tol=0, copy_x=False)
    # its threads add up their shares of a centre in any order: of two the sum is the same, of three it is not
    with warnings.catch_warnings(), threadpool_limits(2, user_api="openmp"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than centres: look-up copes
        method.fit(vectors.numpy())
    return torch.from_numpy(method.cluster_centers_)


def lloyd(vectors: Tensor, centres: Tensor) -> Tensor:
    """Lloyd's algorithm in torch, for a GPU."""
    size = len(centres)
    for _ in range(ITERATIONS):
        chosen = in_chunks(partial(nearest, centres=centres), vectors)
        total = torch.zeros_like(centres).index_add_(0, chosen, vectors)
        count = torch.bincount(chosen, minlength=size)
        empty = (count == 0).nonzero()[:, 0]
        if len(empty):
            distance = torch.cat(
                [
                    (v - centres[c]).square().sum(1)
                    for v, c in zip(vectors.split(65536), chosen.split(65536), strict=True)
                ]
            )
            far = distance.argsort(descending=True, stable=True)[: len(empty)]
            total.index_add_(0, chosen[far], vectors[far], alpha=-1)  # it leaves the cluster that it was in
            count -= torch.bincount(chosen[far], minlength=size)
            total[empty], count[empty] = vectors[far], 1
        updated = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], centres)
        if torch.equal(updated, centres):
            break
        centres = updated
    return centres


def in_chunks(function: Callable[[Tensor], Tensor], vectors: Tensor, rows: Tensor | None = None) -> Tensor:
    """function (n, D) -> (n, ...), of vectors (N, D) or of some of their rows, chunk by chunk.

    The function sees chunks of one shape, the last filled up with zeros: the sums in a matrix product are
    made in an order that depends on the shape, and so a vector's codes would depend on its company.
    """
    size = 256 if vectors.device.type == "cpu" else 16384
    n = len(vectors) if rows is None else len(rows)
    done = []
    for at in range(0, max(n, 1), size):
        part = vectors[at : at + size] if rows is None else vectors[rows[at : at + size]]
        whole = F.pad(part, (0, 0, 0, size - len(part)))
        done.append(function(whole.float())[: len(part)])
    return torch.cat(done)


def nearest(vectors: Tensor, centres: Tensor) -> Tensor:
    """The nearest of centres (K, D) to each vector (n, D) of one chunk: (n,) ints; of equally near ones the first."""
    return (vectors @ centres.T - centres.square().sum(1) / 2).argmax(1)


def residual_codes(vectors: Tensor, books: Sequence[Tensor]) -> Tensor:
    """Codes (n, T) of one chunk: the nearest centre of book 0, then of what that leaves, and so on."""
    codes, rest = [], vectors
    for centres in books:
        codes.append(nearest(rest, centres))
        rest = rest - centres[codes[-1]]
    return torch.stack(codes, dim=1)


def _start(vectors: Tensor, size: int, seed: int) -> Tensor:
    """Rows (K) far apart, by k-means++ among some of the vectors."""
    from sklearn.cluster import kmeans_plusplus

    rows = np.random.default_rng(seed).permutation(len(vectors))[: max(4 * size, START_VECTORS)]
    seen = vectors[torch.from_numpy(rows).to(vectors.device)].cpu().numpy()
    return torch.from_numpy(rows[kmeans_plusplus(seen, size, random_state=seed)[1]]).to(vectors.device)


def _distinct(vectors: Tensor) -> Tensor:
    """The vectors (n, D) less copies, in their own order."""
    _, number = torch.unique(vectors, dim=0, return_inverse=True)
    first = torch.full((len(vectors),), len(vectors), device=vectors.device)
    rows = torch.arange(len(vectors), device=vectors.device)
    first = first.scatter_reduce(0, number, rows, "amin")
    return vectors[first[first < len(vectors)].sort().values]
