"""Eq. 14: the pieces that both the warm-up and the training on a task use."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lmindexer.files import write_atomically
from lmindexer.learn.losses import generation_loss
from lmindexer.retrievers.finetuned import Finetuned, encoder_that_learns
from lmindexer.retrievers.generative import Asked, known_paths
from lmindexer.runs import Run
from lmindexer.training import Trainer, TrainingState, adamw_groups


def id_loss(finetuned: Finetuned, asked: Asked, rows: np.ndarray, codes: Tensor, weight: Tensor) -> Tensor:
    """Eq. 14 of inputs `rows` whose answers have these codes (B, T)."""
    hidden = finetuned.model(asked.memory(rows), codes[:, :-1])  # (B, T, D)
    logits = [codebook.logits(hidden[:, t]) for t, codebook in enumerate(finetuned.model.codebooks)]
    return generation_loss(logits, codes, weight, finetuned.config.label_smoothing)


def id_codes(finetuned: Finetuned) -> Tensor:
    """The codes of all documents that the model learns to give, (N, T) int64 on its device."""
    return torch.from_numpy(known_paths(finetuned.ids, finetuned.model.sizes)).long().to(finetuned.device)


def freeze_encoder(finetuned: Finetuned) -> bool:
    """Set what of the encoder learns; whether any of it does."""
    encoder = encoder_that_learns(finetuned.config)
    finetuned.model.backbone.freeze(encoder, finetuned.config.top_layers)
    return encoder != "frozen"


def freeze_what_reads(finetuned: Finetuned) -> None:
    """Leave to learn what decodes: of a causal model, whose one stack does both, as much as is to learn of it."""
    encoder = encoder_that_learns(finetuned.config) if finetuned.model.backbone.is_one_stack else "frozen"
    finetuned.model.backbone.freeze(encoder, finetuned.config.top_layers)


@dataclass
class FinetuningState(TrainingState):
    """What training at several rates has found so far; each a scalar, but `calibration`."""

    agreement: Tensor | None = None  # of the model with the IDs, before the task
    stale: Tensor | None = None  # epochs since the best one, at the present rate
    best_here: Tensor | None = None  # dev metric, at the present rate
    best: Tensor | None = None  # dev metric, at all rates; the two below are of that epoch
    best_rate: Tensor | None = None
    best_epoch: Tensor | None = None
    calibration: Tensor | None = None  # as `Calibration.array`
    all_known: Tensor | None = None  # whether the documents that were held out are known now


def parameter_groups(finetuned: Finetuned, modules: nn.Module, rate: float) -> list[dict[str, Any]]:
    """AdamW groups: the pretrained backbone learns at a rate of its own."""
    config = finetuned.config
    rates = dict.fromkeys(finetuned.model.backbone.pretrained(), config.encoder_learning_rate)
    learning = [p for p in modules.parameters() if p.requires_grad]
    return adamw_groups(((p, rates.get(p, rate)) for p in learning), config.weight_decay)


def keep_weights(run: Run, name: str, trainer: Trainer[FinetuningState]) -> None:
    """What learns, in a file of the run folder."""
    tensors = {
        key: x.detach().cpu().contiguous().clone()
        for key, x in trainer.modules.state_dict().items()
        if key not in trainer.frozen
    }
    write_atomically(run.path / name, partial(save_file, tensors))
