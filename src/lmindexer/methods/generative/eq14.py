"""Eq. 14: what is minimised in the warm-up and in learning a task, and what of the model learns."""

from typing import Any

import torch
from torch import Tensor, nn

from lmindexer import parallel
from lmindexer.learn.losses import generation_loss, soft_generation_loss
from lmindexer.methods.generative.folder import encoder_that_learns
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import known_paths
from lmindexer.methods.sequential.model import EPSILON
from lmindexer.model.backbone import Memory
from lmindexer.training import adamw_groups


def id_loss(finetuned: GenerativeModel, memory: Memory, codes: Tensor, weight: Tensor) -> Tensor:
    """Eq. 14 of inputs that were read, whose answers have these codes (B, T)."""
    logits = id_logits(finetuned, memory, codes)
    loss = generation_loss(logits, codes, weight, finetuned.config.label_smoothing)
    return parallel.of_weight(loss, weight.sum())


def soft_id_loss(finetuned: GenerativeModel, memory: Memory, codes: Tensor, share: Tensor, weight: Tensor) -> Tensor:
    """The same where documents of codes (B, M, T) answer to a `share` (B, M) each, the right one first."""
    logits = id_logits(finetuned, memory, codes[:, 0])
    loss = soft_generation_loss(logits, codes, share, weight, finetuned.config.label_smoothing)
    return parallel.of_weight(loss, weight.sum())


def id_logits(finetuned: GenerativeModel, memory: Memory, codes: Tensor) -> list[Tensor]:
    """Of each position the logits (B, K) of its codes, where these codes (B, T) stand before it."""
    hidden = finetuned.model(memory, codes[:, :-1])  # (B, T, D)
    return [codebook.logits(hidden[:, t]) for t, codebook in enumerate(finetuned.model.codebooks)]


def id_codes(finetuned: GenerativeModel) -> Tensor:
    """The codes of all documents that the model learns to give, (N, T) int64 on its device."""
    return torch.from_numpy(known_paths(finetuned.ids, finetuned.model.sizes)).long().to(finetuned.device)


def freeze_encoder(finetuned: GenerativeModel) -> bool:
    """Set what of the encoder learns; whether any of it does."""
    encoder = encoder_that_learns(finetuned.config)
    finetuned.model.backbone.freeze(encoder, finetuned.config.top_layers)
    return encoder != "frozen"


def freeze_what_reads(finetuned: GenerativeModel) -> None:
    """Leave to learn what decodes: of a causal model, whose one stack does both, as much as is to learn of it."""
    encoder = encoder_that_learns(finetuned.config) if finetuned.model.backbone.is_one_stack else "frozen"
    finetuned.model.backbone.freeze(encoder, finetuned.config.top_layers)


def parameter_groups(finetuned: GenerativeModel, modules: nn.Module, rate: float) -> list[dict[str, Any]]:
    """AdamW groups: the pretrained backbone learns at a rate of its own."""
    config = finetuned.config
    rates = dict.fromkeys(finetuned.model.backbone.pretrained(), config.encoder_learning_rate)
    of_histories = set() if finetuned.reader is None else set(finetuned.reader.parameters())
    learning = [p for p in modules.parameters() if p.requires_grad and p not in of_histories]
    groups = adamw_groups(((p, rates.get(p, rate)) for p in learning), config.weight_decay)
    if modules is finetuned.model or finetuned.reader is None:
        return groups
    reads = adamw_groups(((p, rate) for p in finetuned.reader.parameters()), config.weight_decay)
    return groups + [group | {"eps": EPSILON} for group in reads]
