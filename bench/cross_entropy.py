"""Full cross-entropy over a catalogue: in pieces with its gradients beside it, and as torch has it.

    python -m bench.cross_entropy [--states 3000] [--items 12101] [--dim 64] [--repeat 5]

Prints CPU milliseconds of loss and gradients on one thread, the least of the repeats, and the matrix products alone.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from lmindexer.methods.sequential.losses import FullCrossEntropy


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cross_entropy", description=__doc__)
    for name, value in (("states", 3000), ("items", 12_101), ("dim", 64), ("repeat", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    sizes = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    states = torch.randn(sizes.states, sizes.dim, requires_grad=True)
    items = torch.randn(sizes.items, sizes.dim, requires_grad=True)
    wanted = torch.randint(sizes.items, (sizes.states,))
    scores = torch.randn(sizes.states, sizes.items)

    def products() -> None:
        with torch.no_grad():
            _ = states @ items.T, scores @ items, scores.T @ states

    ways: dict[str, Callable[[], object]] = {
        "in pieces": lambda: FullCrossEntropy.apply(states, items, wanted).backward(),
        "torch": lambda: F.cross_entropy(states @ items.T, wanted).backward(),
        "matrix products alone": products,
    }
    for name, way in ways.items():
        print(f"{name:22} {1000 * min(_seconds(way) for _ in range(sizes.repeat)):8.0f} ms")


def _seconds(way: Callable[[], object]) -> float:
    began = time.process_time()
    way()
    return time.process_time() - began


if __name__ == "__main__":
    main()
