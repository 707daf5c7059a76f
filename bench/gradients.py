"""What pulls at the decoder: the weighted gradient of every loss term at each position, right after its K-means.

    python -m bench.gradients items.jsonl.gz --sample 1500 --text title,brand --sizes 64,64

For each --objective a run is learned in a temporary folder, and where the full training of a position
(Eq. 11) begins its batches are looked at without learning: mean norm of each term's gradient with respect
to the decoder, times the term's weight in the sum that is minimised. Last line: how much of the gradient of
rebuilding that arrives at the code's vector goes on to h^t (Eq. 6).
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from bench.finished import settings_and_sample
from lmindexer import tables
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.indexers import lmindexer as room
from lmindexer.learn.learner import Learner
from lmindexer.progress import Progress
from lmindexer.training import Stage, filled, only_learning

SHARE = "share of rebuilding's gradient that reaches h (Eq. 6), median document"
Numbers = dict[str, list[float]]  # of a term, one a batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, default=1500, help="take this many documents at random; 0: all")
    parser.add_argument("--batches", type=int, default=8, help="how many are looked at, at each position")
    arguments, rest = parser.parse_known_args()
    config, corpus = settings_and_sample(parser, arguments, rest)
    print(compare(config, corpus, arguments.batches))


def compare(config: LearnConfig, corpus: Corpus, batches: int) -> str:
    """The table of both objectives, each with its own settings and the rest of `config`."""
    columns: dict[str, Numbers] = {}
    for objective in ("default", "paper"):
        for position, numbers in gradients(config.replace(objective=objective), corpus, batches).items():
            columns[f"{objective}, {position}"] = numbers
    return table(columns)


def gradients(config: LearnConfig, corpus: Corpus, batches: int) -> dict[str, Numbers]:
    """Measure at every position, c1 first, the weighted gradient norm of every loss term, one a batch."""
    found: dict[str, Numbers] = {}
    learn_ids = room.learn_ids

    def watched(learner: Learner, doc_ids: tuple[str, ...]) -> Any:
        run = learner.trainer.run

        def look_first(stage: Stage) -> None:
            position, _, what = stage.name.partition(": ")
            if what == "training" and stage.name not in learner.trainer.done:
                found[position] = _look(learner, int(position[1:]) - 1, stage, batches)
            run(stage)

        with mock.patch.object(learner.trainer, "run", look_first):
            return learn_ids(learner, doc_ids)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(room, "learn_ids", watched):
        room.LMIndexer(config).fit(corpus, Path(folder) / "run", progress=Progress(None))
    return found


def _look(learner: Learner, t: int, stage: Stage, batches: int) -> Numbers:
    backbone, codebook = learner.indexer.backbone, learner.indexer.codebooks[t]
    parameters = [p for p in backbone.decoder.parameters() if p.requires_grad]
    chosen = filled(learner.state.chosen).clone()
    quantize: Callable[..., Tensor] = codebook.quantize
    seen: list[Tensor] = []

    def recorded(hidden: Tensor, *settings: float) -> Tensor:
        seen[:] = hidden, quantize(hidden, *settings)
        return seen[1]

    numbers: Numbers = defaultdict(list)
    for module in stage.learning:
        module.train()
    torch.manual_seed(learner.config.seed)
    with mock.patch.object(codebook, "quantize", recorded):
        for rows in stage.batches(np.random.default_rng(learner.config.seed))[:batches]:
            with learner.trainer.precision(), only_learning(learner.trainer.modules, stage.parameters):
                losses = stage.losses(rows)
            for name, term in losses.items():
                weight = _gradients(losses["loss"], [term])[0] if term.requires_grad else torch.zeros(())
                if weight.any():  # the slope of the sum with this term is the term's weight in it
                    norms = [g.square().sum() for g in _gradients(weight * term, parameters)]
                    numbers["all together" if name == "loss" else name].append(float(torch.stack(norms).sum().sqrt()))
            if "reconstruction" in losses:
                at_hidden, at_code = _gradients(losses["reconstruction"], seen)
                shares = at_hidden.norm(dim=1) / at_code.norm(dim=1).clamp_min(1e-12)  # (B,)
                numbers[SHARE].append(float(shares.median()))
    learner.state.chosen = chosen
    return numbers


def _gradients(of: Tensor, to: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(of, to, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(to, found, strict=True)]


def table(columns: dict[str, Numbers]) -> str:
    """A Markdown table: means over batches, a row a term, a column an objective and position."""
    rows = []
    terms = list(dict.fromkeys(name for numbers in columns.values() for name in numbers))
    for term in sorted(terms, key=[*(name for name in terms if name not in (SHARE, "all together")),
                                   "all together", SHARE].index):  # fmt: skip
        cells = [f"{mean(numbers[term]):.3f}" if term in numbers else "-" for numbers in columns.values()]
        rows.append((term, *cells))
    return "\n".join(tables.table(("", *columns), rows))


if __name__ == "__main__":
    main()
