"""How long a user waits before anything happens: imports, help, and the first answer of a search.

The floor is the time that Python takes to start, and with torch and transformers imported. Give a learned run as
--run, or one is made of a few documents.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from bench.speed.machine import medians
from lmindexer.config import from_mapping
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.indexers.registry import make_indexer
from lmindexer.progress import Progress
from lmindexer.tables import table

HEAVY = "import torch, transformers; from transformers import BertModel, AutoTokenizer"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", help="a run to ask; default: one of 64 documents is learned")
    parser.add_argument("--backbone", default="bundled", help="of the run that is made")


def report(a: argparse.Namespace) -> None:
    """Seconds of every command."""
    with tempfile.TemporaryDirectory() as folder:
        run = a.run or _small_run(Path(folder) / "run", a)
        ways: dict[str, Callable[[], object]] = {
            "python -c pass": lambda: _python("-c", "pass"),
            "torch and transformers imported": lambda: _python("-c", HEAVY),
            "import lmindexer": lambda: _python("-c", "import lmindexer"),
            "lmindexer --help": lambda: _python("-m", "lmindexer", "--help"),
            "lmindexer search, until the first answer": lambda: _python("-m", "lmindexer", "search", run, "red"),
        }
        rows = [(way, f"{s:.2f}") for way, s in medians(ways, torch.device("cpu"), a.rounds).items()]
    print("\n".join(table(("what", "seconds"), rows)))


def _small_run(out: Path, a: argparse.Namespace) -> str:
    corpus = Corpus.from_documents(Document(f"d{n}", f"red thing number {n} of {n % 7} kinds") for n in range(64))
    short = {"reconstructor_epochs": 0, "warmup_epochs": 0, "epochs": 1, "settle_epochs": 0}
    config = from_mapping({"sizes": (8, 8), "device": a.device, "backbone": a.backbone} | short)
    make_indexer(config).fit(corpus, out, progress=Progress(None))
    return str(out)


def _python(*arguments: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
