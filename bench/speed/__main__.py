"""How fast the hot paths are, each beside a peer on the same weights and data and beside its floor.

python -m bench.speed                                     all paths, as they are by default
python -m bench.speed learn --shape t5-base --tokens 512 --batch 32 --device cuda
python -m bench.speed search --help                       the options of a path
"""

import argparse

import torch

from bench.speed import finetune, index, kmeans, learn, load, search
from bench.speed.machine import describe

PATHS = {"learn": learn, "finetune": finetune, "index": index, "kmeans": kmeans, "search": search, "load": load}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paths = parser.add_subparsers(dest="path", metavar="PATH")
    for name, path in PATHS.items():
        about = (path.__doc__ or "").split("\n", 1)[0]
        one = paths.add_parser(name, help=about, description=path.__doc__, allow_abbrev=False)
        one.add_argument("--device", default="cpu")
        one.add_argument("--threads", type=int, default=1)
        one.add_argument("--rounds", type=int, default=5, help="the median of so many is shown")
        path.options(one)
    given, rest = parser.parse_known_args()
    chosen = [given] if given.path else [parser.parse_args([name]) for name in PATHS]
    if rest and given.path != "learn":
        parser.error(f"unknown options: {' '.join(rest)}")
    for a in chosen:
        torch.set_num_threads(a.threads)
        print(f"## {a.path}\n\n{describe(torch.device(a.device))}\n", flush=True)
        a.settings = rest
        PATHS[a.path].report(a)
        print(flush=True)


if __name__ == "__main__":
    main()
