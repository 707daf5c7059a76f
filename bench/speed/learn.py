"""The steps of learning c1 and c2 on a T5 of a published shape: ours, the paper's way, and what arithmetic needs.

The encoder learns, the objective is the paper's; settings may follow as pairs, such as --rebuilt-tokens 8.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from bench.finished import settings_of
from bench.speed.costs import Cost, learning_step
from bench.speed.machine import matmul_rate, medians, peak_bytes
from bench.speed.reference import PaperStep
from bench.speed.shapes import SHAPES, documents_of, save_t5
from lmindexer.config import from_mapping
from lmindexer.devices import choose_bf16
from lmindexer.indexers import lmindexer as room
from lmindexer.learn.learner import Learner
from lmindexer.progress import Progress
from lmindexer.tables import table
from lmindexer.training import Stage, only_learning

PAPER = "the paper's way"


class _EnoughError(Exception):
    """Both positions are measured; nothing more need be learned."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shape", choices=tuple(SHAPES), default="t5-small")
    parser.add_argument("--tokens", type=int, default=128, help="of a document")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--no-reference", action="store_true", help="leave out the paper's way")


def report(a: argparse.Namespace) -> None:
    """A table of the step at c1 and c2: documents a second of both ways, FLOPs, share of the rate of products."""
    print(_report(torch.device(a.device), a, settings_of(a.settings)))


def _report(device: torch.device, a: argparse.Namespace, settings: dict[str, Any]) -> str:
    shape, tokens, batch, rounds, reference = a.shape, a.tokens, a.batch, a.rounds, not a.no_reference
    bf16 = choose_bf16(str(settings.get("precision", "auto")), device)
    rate = matmul_rate(device, torch.bfloat16 if bf16 else torch.float32)
    rows: list[Sequence[str]] = []
    parts: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as folder:
        backbone = save_t5(SHAPES[shape], Path(folder) / "t5")
        corpus = documents_of(SHAPES[shape], max(4 * batch, 64), tokens)
        config = from_mapping(
            {
                "backbone": str(backbone), "encoder": "full", "objective": "paper", "sizes": (16, 16),
                "max_tokens": tokens, "batch_size": batch, "device": str(device), "reconstructor_epochs": 0,
                "warmup_epochs": 0, "epochs": 1, "settle_epochs": 0, "weigh_tokens": False, "softmax": "batch",
            } | settings
        )  # fmt: skip

        def look(learner: Learner, stage: Stage) -> None:
            t = int(stage.name[1]) - 1
            cost = learning_step(SHAPES[shape], learner, tokens, batch, t)
            seconds = _time(learner, stage, t, rounds, reference)
            ours, theirs = seconds["ours"], seconds.get(PAPER)
            parts[stage.name] = cost
            rows.append(
                (
                    stage.name,
                    f"{batch / ours:.1f}",
                    f"{batch / theirs:.1f}" if theirs else "-",
                    f"{theirs / ours:.1f}x" if theirs else "-",
                    f"{cost.total / batch / 1e9:.1f}",
                    f"{cost.total / ours / 1e12:.2f}",
                    f"{cost.total / ours / rate:.0%}",
                    f"{peak_bytes(device) / 1e9:.1f} GB",
                )
            )

        _watch(config, corpus, look, Path(folder) / "run")
    head = ("step", "documents/s", PAPER, "ratio", "GFLOP a document", "TFLOP/s", "of the rate", "peak")
    lines = [
        f"T5 of shape {shape}, {tokens} tokens, batch {batch}, {'bf16' if bf16 else 'fp32'}; "
        f"a large product runs at {rate / 1e12:.2f} TFLOP/s",
        "",
        *table(head, rows),
        "",
        *_parts(parts, batch),
    ]
    return "\n".join(lines)


def _watch(config: Any, corpus: Any, look: Callable[[Learner, Stage], None], out: Path) -> None:
    """Learn as a user does, but where a position would be trained, `look` instead."""
    learn_ids = room.learn_ids

    def watched(learner: Learner, doc_ids: tuple[str, ...]) -> Any:
        run = learner.trainer.run

        def measured(stage: Stage) -> None:
            if not stage.name.endswith(": training"):
                return run(stage)
            look(learner, stage)
            if stage.name == f"c{len(config.sizes)}: training":
                raise _EnoughError
            return learner.trainer.finish(stage.name)

        with mock.patch.object(learner.trainer, "run", measured):
            return learn_ids(learner, doc_ids)

    with mock.patch.object(room, "learn_ids", watched):
        try:
            room.LMIndexer(config).fit(corpus, out, progress=Progress(None))
        except _EnoughError:
            return


def _time(learner: Learner, stage: Stage, t: int, rounds: int, reference: bool) -> dict[str, float]:
    """Median seconds of a step, ours and the paper's way taking turns on the same weights and rows."""
    trainer = learner.trainer
    optimizer = torch.optim.AdamW(stage.parameters, betas=(0.9, 0.999), eps=1e-6)
    batches = stage.batches(np.random.default_rng(0))
    batch = next(rows for rows in batches if len(rows) == learner.config.batch_size)
    sums: dict[str, torch.Tensor] = {}
    ways: dict[str, Callable[[], object]] = {"ours": lambda: trainer._step(stage, optimizer, batch, 0, sums)}
    if reference:
        paper = PaperStep(learner, t)
        ways[PAPER] = lambda: paper(batch)
    with only_learning(trainer.modules, stage.parameters):
        return medians(ways, trainer.device, rounds)


def _parts(parts: dict[str, Cost], batch: int) -> list[str]:
    """GFLOP a document of every part of the step, forwards and backwards."""
    names = list(dict.fromkeys(name for cost in parts.values() for name in cost.parts))
    rows = [(name, *(f"{cost.parts.get(name, 0) / batch / 1e9:.2f}" for cost in parts.values())) for name in names]
    return table(("GFLOP a document", *parts), rows)
