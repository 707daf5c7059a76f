"""No step of learning waits for the device: nothing is read back from it, and no shape depends on what it holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.learn.learner import Learner, LearningState
from lmindexer.progress import Progress
from small_learner import Recorder, losses_of, new_learner, nothing_learned, stage_of

READ_BACK = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive")
STAGES = ("reconstructor warm-up", "c1: warm-up", "c1: training", "c2: warm-up", "c2: training", "settling")


class NoWaiting(TorchDispatchMode):
    """Refuses every operation for whose result the host has to wait for a GPU."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.removeprefix("aten::")
        masks = [x for x in (args[1] if name.startswith("index") and len(args) > 1 else []) if isinstance(x, Tensor)]
        if name in READ_BACK or any(mask.dtype == torch.bool for mask in masks):
            raise AssertionError(f"{name} waits for the device")
        return function(*args, **(kwargs or {}))


def learner_of(corpus: Corpus, checkpoint: Path, folder: Path, config: LearnConfig) -> Learner:
    def trainer(modules: nn.Module) -> Recorder[LearningState]:
        return Recorder(modules, folder, 0, config.clip, False, 1e9, Progress(None), nothing_learned(len(corpus)))

    return new_learner(corpus, checkpoint, "frozen", config, trainer)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rebuilt_tokens", [0, 3])
def test_a_step_does_not_wait(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, stage: str, rebuilt_tokens: int
):
    config = LearnConfig(sizes=(6, 5), batch_size=16, rebuilt_tokens=rebuilt_tokens)
    learner = learner_of(corpus, checkpoints["bert"], tmp_path, config)
    taken = stage_of(learner, stage)
    with NoWaiting():
        losses = losses_of(learner.trainer, taken, np.arange(20))
        losses["loss"].backward()
        nn.utils.clip_grad_norm_([p for group in taken.parameters for p in group["params"]], 1.0)
    assert torch.isfinite(losses["loss"])


@pytest.mark.parametrize("wait", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero(), torch.unique])
def test_what_waits_is_noticed(wait: Any):
    with NoWaiting(), pytest.raises(AssertionError, match="waits"):
        wait(torch.arange(3))
