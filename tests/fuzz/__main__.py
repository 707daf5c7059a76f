"""Odd input of every kind for every verb: `make fuzz`, or

    PYTHONPATH=src:tests python -m fuzz --inputs 10000 --seed 1 --keep findings

A finding is a trace, a loss without a word, a hang, an unclear message, a half-written file. `--only N` gives input N
again.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

from fuzz.campaign import campaign, inputs, tell
from fuzz.cases import KINDS
from fuzz.home import make_home


def main() -> None:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--only", type=int, nargs="+", help="These inputs alone.")
    parser.add_argument("--keep", type=Path, help="A folder for what went wrong.")
    options = parser.parse_args()
    given = list(inputs(options.seed, options.inputs if options.only is None else max(options.only) + 1, options.kinds))
    if options.only is not None:
        given = [given[n] for n in options.only]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_home(home)
        findings = campaign(given, options.seed, home)
        keep = options.keep and options.keep.absolute()
        raise SystemExit(bool(tell(findings, len(given), options.seed, keep, home)))


if __name__ == "__main__":
    main()
