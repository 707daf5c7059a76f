"""K-means on directions, the start of every codebook: ours beside faiss and scikit-learn, in equal rounds and threads.

The vectors are points around as many random centres as there are codes; every way starts from random vectors and
takes the same number of rounds.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.speed.machine import matmul_rate, medians
from lmindexer.extras import is_installed
from lmindexer.learn.kmeans import kmeans
from lmindexer.tables import table


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--codes", type=int, default=5120)
    parser.add_argument("--iterations", type=int, default=5)


def report(a: argparse.Namespace) -> None:
    """Seconds of every way, and the time that the products alone take."""
    device = torch.device(a.device)
    vectors = _points(a.vectors, a.dim, a.codes)
    seconds = medians(_ways(vectors, a, device), device, a.rounds)
    floor = a.iterations * 2 * a.vectors * a.dim * a.codes / matmul_rate(device, torch.float32)
    rows = [(way, f"{s:.2f}", f"{s / floor:.1f}") for way, s in seconds.items()]
    print(f"{a.vectors:,} x {a.dim}, K = {a.codes:,}, {a.iterations} rounds; the products alone: {floor:.2f} s\n")
    print("\n".join(table(("way", "seconds", "x the products"), rows)))


def _ways(vectors: Tensor, a: argparse.Namespace, device: torch.device) -> dict[str, Callable[[], object]]:
    there, here = vectors.to(device), vectors.numpy()
    every = 1 + a.vectors // a.codes  # no way takes a sample

    def ours() -> None:
        kmeans(there, a.codes, 0, iterations=a.iterations, sample=every)

    ways: dict[str, Callable[[], object]] = {"ours": ours}
    if device.type == "cpu" and is_installed("faiss"):
        import faiss

        faiss.omp_set_num_threads(a.threads)

        def with_faiss() -> None:
            faiss.Kmeans(
                a.dim, a.codes, niter=a.iterations, spherical=True, max_points_per_centroid=every, seed=0
            ).train(here)

        ways["faiss"] = with_faiss
    if device.type == "cpu":
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        def with_sklearn() -> None:
            with threadpool_limits(a.threads):
                KMeans(a.codes, init="random", n_init=1, max_iter=a.iterations, tol=0).fit(here)

        ways["scikit-learn"] = with_sklearn
    return ways


def _points(vectors: int, dim: int, centres: int) -> Tensor:
    torch.manual_seed(0)
    return F.normalize(torch.randn(centres, dim)[torch.randint(centres, (vectors,))] + 0.5 * torch.randn(vectors, dim))
