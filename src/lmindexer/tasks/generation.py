"""Eq. 14: the pieces that both the warm-up and the training on a task use."""

from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lmindexer.files import write_atomically
from lmindexer.learn.losses import generation_loss
from lmindexer.retrievers.finetuned import Finetuned, encoder_that_learns
from lmindexer.retrievers.generative import Asked, known_paths
from lmindexer.runs import Run
from lmindexer.training import Trainer


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


def frozen_names(finetuned: Finetuned) -> frozenset[str]:
    weights = finetuned.model.backbone.model.named_parameters(remove_duplicate=False)
    return frozenset(f"indexer.backbone.model.{name}" for name, p in weights if not p.requires_grad)


def parameter_groups(finetuned: Finetuned, modules: nn.Module, rate: float) -> list[dict[str, object]]:
    """AdamW groups: the pretrained backbone learns at its own rate; vectors and biases do not decay."""
    config = finetuned.config
    pretrained = {id(p) for p in finetuned.model.backbone.model.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for p in modules.parameters():
        if p.requires_grad:
            own = config.encoder_learning_rate if id(p) in pretrained else rate
            groups.setdefault((own, config.weight_decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": list(ps), "lr": own, "weight_decay": decay} for (own, decay), ps in groups.items()]


def keep_weights(run: Run, name: str, trainer: Trainer) -> None:
    """What learns, in a file of the run folder."""
    tensors = {
        key: x.detach().cpu().contiguous().clone()
        for key, x in trainer.modules.state_dict().items()
        if key not in trainer.frozen
    }
    write_atomically(run.path / name, partial(save_file, tensors))
