"""SimCSE: the loss by hand, and an encoder that learned."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lmindexer import InputError
from lmindexer.config import from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.learn.simcse import TEMPERATURE, simcse_loss
from lmindexer.progress import Progress
from lmindexer.training import Trainer


def test_the_loss_by_hand():
    first = torch.tensor([[2.0, 0.0], [0.0, 3.0]])  # lengths do not count
    apart = np.log(1 + np.exp(-1 / TEMPERATURE))  # own cosine 1, the other's 0
    assert simcse_loss(first, first).item() == pytest.approx(apart, abs=1e-6)
    swapped = np.log(1 + np.exp(1 / TEMPERATURE))
    assert simcse_loss(first, first.flip(0)).item() == pytest.approx(swapped)


def settings(checkpoints: dict[str, Path]) -> dict[str, object]:
    return {
        "indexer": "rq-kmeans", "embeddings": "simcse", "backbone": str(checkpoints["bert"]), "sizes": (4, 4),
        "simcse_epochs": 2, "device": "cpu", "precision": "fp32", "simcse_learning_rate": 1e-3, "checkpoint_seconds": 0,
    }  # fmt: skip


def test_the_loss_is_in_single_precision_under_autocast():
    torch.manual_seed(0)
    first, second = torch.randn(8, 64), torch.randn(8, 64)
    full = simcse_loss(first, second)
    with torch.autocast("cpu", torch.bfloat16):
        assert simcse_loss(first, second).item() == full.item()


def test_the_encoder_learns_and_is_kept(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    indexer = TwoStepIndexer(**settings(checkpoints)).fit(corpus, tmp_path / "run", progress=Progress(None))
    assert indexer.run is not None
    losses = [record["loss"] for record in indexer.run.log_records()]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    plain = TwoStepIndexer(from_mapping(settings(checkpoints) | {"embeddings": str(checkpoints["bert"])}))
    plain.fit(corpus, tmp_path / "plain", progress=Progress(None))
    assert not torch.equal(indexer.vectors(corpus), plain.vectors(corpus))
    loaded = TwoStepIndexer.load(tmp_path / "run")
    assert torch.equal(loaded.vectors(corpus), indexer.vectors(corpus))


def test_a_stopped_run_ends_with_the_same_ids(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = TwoStepIndexer(**settings(checkpoints)).fit(corpus, tmp_path / "whole", progress=Progress(None))
    step, steps = Trainer._step, iter(range(100))

    def stops(*given: object) -> None:
        if next(steps) == 3:
            raise KeyboardInterrupt
        step(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        TwoStepIndexer(**settings(checkpoints)).fit(corpus, tmp_path / "run", progress=Progress(None))
    monkeypatch.setattr(Trainer, "_step", step)
    again = TwoStepIndexer(**settings(checkpoints)).fit(corpus, tmp_path / "run", resume=True, progress=Progress(None))
    assert again.ids == whole.ids


def test_settings_are_checked():
    with pytest.raises(InputError, match="indexer must be one of rq-vae, hc, rq-kmeans, random here, not 'lmindexer'"):
        TwoStepIndexer(indexer="lmindexer")
    with pytest.raises(InputError, match="not both"):
        TwoStepIndexer(TwoStepIndexer().config, seed=3)
