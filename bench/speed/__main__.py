"""How fast the hot paths are, each beside a peer on the same weights and data and beside its floor.

    python -m bench.speed [learn|...] [--device cuda] [--shape t5-small] [--tokens 128] [--batch 16]

Settings of learning may follow as pairs, such as --rebuilt-tokens 8.
"""

import argparse

import torch

from bench.finished import settings_of
from bench.speed import learn
from bench.speed.machine import describe
from bench.speed.shapes import SHAPES

PATHS = ("learn",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", choices=PATHS, help="default: all of them, one after another")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is shown")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="t5-small", help="of the model that learns")
    parser.add_argument("--tokens", type=int, default=128, help="of a document")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--no-reference", action="store_true", help="leave out the paper's way")
    a, rest = parser.parse_known_args()
    torch.set_num_threads(a.threads)
    device = torch.device(a.device)
    print(describe(device), flush=True)
    for path in (a.path,) if a.path else PATHS:
        print(f"\n## {path}\n", flush=True)
        if path == "learn":
            print(learn.report(device, a.shape, a.tokens, a.batch, a.rounds, settings_of(rest), not a.no_reference))


if __name__ == "__main__":
    main()
