"""What rq-kmeans needs for many vectors: seconds and peak memory of one process.

    python -m bench.million --vectors 1000000 --dim 384 --sizes 5120,5120

The vectors are half-precision points around as many random centres as the first position has codes.
"""

import argparse
import resource
import time

import torch

from lmindexer.config import from_mapping
from lmindexer.ids.quality import used_share
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.progress import Progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--sizes", default="5120,5120")
    arguments = parser.parse_args()
    config = from_mapping({"indexer": "rq-kmeans", "sizes": arguments.sizes})
    vectors = _points(arguments.vectors, arguments.dim, config.sizes[0])
    began = time.monotonic()
    quantiser = ResidualKMeans.fit(vectors, config, Progress(None))
    learned = time.monotonic()
    codes = quantiser.codes(vectors)
    done = time.monotonic()
    used = ", ".join(f"{used_share(column, size):.0%}" for column, size in zip(codes.T, config.sizes, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"learned in {learned - began:.0f} s, codes of all in {done - learned:.0f} s, {peak:.2f} GiB; used: {used}")


def _points(N: int, D: int, centres: int) -> torch.Tensor:
    torch.manual_seed(0)
    centre, points = torch.randn(centres, D), torch.empty(N, D, dtype=torch.float16)
    for rows in torch.arange(N).split(65536):
        points[rows] = (centre[torch.randint(centres, (len(rows),))] + 0.5 * torch.randn(len(rows), D)).half()
    return points


if __name__ == "__main__":
    main()
