"""What a million of something needs: seconds and peak memory of one process.

    python -m bench.million --vectors 1000000 --dim 384 --sizes 5120,5120
    python -m bench.million --run runs/small --documents 1000000

Vectors are half-precision points around as many random centres as the first position has codes; rq-kmeans learns them.
Documents are twelve words each; the run gives them IDs.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lmindexer.config import from_mapping
from lmindexer.ids.quality import used_share
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.indexers.store import read_like
from lmindexer.progress import Progress
from lmindexer.runs import Run

WORDS = 12  # of a document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--sizes", default="5120,5120")
    arguments = parser.parse_args()
    if arguments.run is not None:
        index_documents(arguments.run, arguments.documents)
    else:
        learn_vectors(arguments.vectors, arguments.dim, arguments.sizes)


def learn_vectors(count: int, dim: int, sizes: str) -> None:
    config = from_mapping({"indexer": "rq-kmeans", "sizes": sizes})
    vectors = _points(count, dim, config.sizes[0])
    began = time.monotonic()
    quantiser = ResidualKMeans.fit(vectors, config, Progress(None))
    learned = time.monotonic()
    codes = quantiser.codes(vectors)
    done = time.monotonic()
    used = ", ".join(f"{used_share(column, size):.0%}" for column, size in zip(codes.T, config.sizes, strict=True))
    print(f"learned in {learned - began:.0f} s, codes of all in {done - learned:.0f} s, {_peak()}; used: {used}")


def index_documents(run: Path, count: int) -> None:
    """IDs of so many documents, made of the words of the run's own."""
    words = sorted({word for text in load_indexer(run).corpus().texts() for word in text.split()})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "documents.parquet"
        _write(file, words, count)
        print(f"before: {_peak()}")
        began = time.process_time()
        corpus = read_like(Run.open(run), [file], text=("text",), id="id")
        read = time.process_time()
        print(f"{count:,} documents read in {read - began:.0f} CPU seconds, {_peak()}")
        ids = load_indexer(run).index(corpus)
        indexed = time.process_time()
        print(f"IDs given in {indexed - read:.0f} CPU seconds, {_peak()}")
        ids.export(Path(folder) / "ids.parquet", "parquet")
        print(f"written in {time.process_time() - indexed:.0f} CPU seconds, {_peak()}")


def _peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most"


def _write(file: Path, words: list[str], count: int) -> None:
    dice = np.random.default_rng(0)
    with pq.ParquetWriter(file, pa.schema([("id", pa.string()), ("text", pa.string())])) as writer:
        for at in range(0, count, 10_000):
            rows = range(at, min(at + 10_000, count))
            texts = [
                " ".join(words[n] for n in chosen) for chosen in dice.integers(len(words), size=(len(rows), WORDS))
            ]
            writer.write_table(pa.table({"id": [f"item{n}" for n in rows], "text": texts}))


def _points(N: int, D: int, centres: int) -> torch.Tensor:
    torch.manual_seed(0)
    centre, points = torch.randn(centres, D), torch.empty(N, D, dtype=torch.float16)
    for rows in torch.arange(N).split(65536):
        points[rows] = (centre[torch.randint(centres, (len(rows),))] + 0.5 * torch.randn(len(rows), D)).half()
    return points


if __name__ == "__main__":
    main()
