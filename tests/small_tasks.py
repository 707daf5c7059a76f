"""Tasks for fine-tuning that can be learned by heart in seconds, on the corpus of conftest.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.indexers.registry import make_indexer
from lmindexer.progress import Progress
from lmindexer.teaching.fine_tuning import finetune
from lmindexer.training import Trainer

WORDS = ("rose", "pan", "mast", "violin", "storm", "oven", "soil", "drum")
FILLERS = ("the", "old")
QUIET = Progress(None)
LEARN: dict[str, Any] = {  # LMIndexer
    "sizes": (6, 4), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1, "settle_epochs": 1, "batch_size": 32,
    "precision": "fp32", "device": "cpu",
}  # fmt: skip
QUICK: dict[str, Any] = {  # one look at the data
    "epochs": 1, "warmup_epochs": 1, "batch_size": 64, "device": "cpu", "precision": "fp32",
}  # fmt: skip
BY_HEART = {"warmup_epochs": 2, "dropout": 0.0, "dev_metric": "recall@1", "patience": 0}
SEARCH = QUICK | BY_HEART | {
    "document_share": 0.0, "rescore": False,
    "epochs": 40, "batch_size": 4, "learning_rate": (3e-3,), "encoder": "full", "encoder_learning_rate": 1e-3,
}  # fmt: skip
RECOMMEND = QUICK | BY_HEART | {"epochs": 25, "batch_size": 32, "learning_rate": (1e-2,)}


def learn(corpus: Corpus, out: Path, **settings: object) -> Path:
    """A run of random IDs or of any other indexer, with settings small enough for seconds."""
    small = {
        "indexer": "random", "sizes": (6, 4), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1,
        "settle_epochs": 1, "batch_size": 32, "device": "cpu", "clusters": 3, "leaf": 8, "vae_epochs": 5,
        "vae_latent": 8, "precision": "fp32",
    }  # fmt: skip
    config: LearnConfig = from_mapping(small | settings)
    make_indexer(config).fit(corpus, out, progress=QUIET)
    return out


def write_jsonl(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_queries(path: Path) -> Path:
    """A word means one document, whatever stands beside it; in training another stands before it, later behind."""
    return write_jsonl(path, [
        {"query": text, "item_ids": [f"doc{3 * n}"], "split": split}
        for n, word in enumerate(WORDS)
        for split, texts in (
            ("train", [f"{filler} {word}" for filler in FILLERS]),
            ("dev", [f"{word} {FILLERS[0]}"]),
            ("test", [f"{word} {FILLERS[1]}"]),
        )
        for text in texts
    ])  # fmt: skip


def teach_to_search(run: Path, out: Path, method: str, backbone: Path) -> Path:
    """A run of a method that answers words once it is taught, after one look at the data; nothing where it is there."""
    if not out.exists():
        queries = write_queries(out.with_name(f"{out.name}-queries.jsonl"))
        of_method = {"dual-encoder": {"backbone": str(backbone), "max_tokens": 32}}.get(method, {})
        how = {"epochs": 1, "batch_size": 8, "device": "cpu", "precision": "fp32"} | of_method
        finetune(run, out, queries=queries, method=method, **how, progress=QUIET)
    return out


def write_sequences(path: Path, corpus: Corpus, length: int = 6) -> Path:
    """All documents stand in one ring, and each user takes `length` of them one after another."""
    ring = np.random.default_rng(0).permutation(len(corpus))
    users = [[corpus.doc_ids[ring[(u + n) % len(ring)]] for n in range(length)] for u in range(len(ring))]
    path.write_text("".join(f"u{u} {' '.join(items)}\n" for u, items in enumerate(users)))
    return path


class StoppedError(Exception):
    """Stands for whatever stops a training."""


def teach_whole_and_stopped(teach: Callable[..., object], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`teach(out, resume=...)` a run at folder/whole, and one at folder/out that is stopped at its fifth step first."""
    step, calls, stop_at = Trainer._step, list[int](), [0]

    def counted(*arguments: Any) -> None:
        calls.append(0)
        if len(calls) == stop_at[0]:
            raise StoppedError
        step(*arguments)

    monkeypatch.setattr(Trainer, "_step", counted)
    teach(folder / "whole", resume=False)
    steps, stop_at[0] = len(calls), 5
    calls.clear()
    with pytest.raises(StoppedError):
        teach(folder / "out", resume=False)
    stop_at[0] = 0
    calls.clear()
    teach(folder / "out", resume=True)
    assert 0 < len(calls) < steps, "it goes on from a checkpoint"
