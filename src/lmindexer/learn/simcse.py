"""An encoder trained on the corpus without labels: SimCSE (Gao et al. 2021), the in-domain rows of Table 1."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.learn.memories import Memories
from lmindexer.progress import Progress
from lmindexer.training import Stage, Trainer, TrainingState

TEMPERATURE = 0.05  # of cosines, as published
BATCH = 64  # texts, as published


def train_simcse(memories: Memories, config: LearnConfig, folder: Path, resume: bool, progress: Progress) -> None:
    """Train the encoder of `memories` so that a text is nearest to itself under another dropout mask.

    The negatives are the other texts of the batch; of a document in pieces each is a text. A checkpoint stands in
    `folder`.
    """
    backbone = memories.backbone
    backbone.freeze("full", 0)
    texts = memories if memories.pieces is None else memories.pieces

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        tokens, mask = texts.tokens(rows)
        memory = backbone.remember(tokens.repeat(2, 1), mask.repeat(2, 1))
        embeddings = backbone.pooled(memory.states, memory.mask).float()
        return {"loss": simcse_loss(*embeddings.chunk(2))}

    trainer = Trainer(
        modules=backbone,
        folder=folder,
        seed=config.seed,
        clip=config.clip,
        bf16=memories.bf16,
        checkpoint_seconds=config.checkpoint_seconds,
        progress=progress,
        state=TrainingState(),
    )
    if resume:
        trainer.resume()
    weights = [p for p in backbone.pretrained() if p.requires_grad]
    trainer.run(
        Stage(
            name="SimCSE",
            epochs=config.simcse_epochs,
            batches=lambda rng: length_bucketed_batches(texts.lengths, BATCH, rng),
            losses=losses,
            parameters=[{"params": weights, "lr": config.simcse_learning_rate, "weight_decay": config.weight_decay}],
            learning=[backbone],
            rate="--simcse-learning-rate",
        )
    )


def simcse_loss(first: Tensor, second: Tensor) -> Tensor:
    """Cross-entropy of finding each row of `first` (B, D) again in `second` (B, D), by cosine."""
    with torch.autocast(first.device.type, enabled=False):
        scores = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / TEMPERATURE  # (B, B)
    return F.cross_entropy(scores, torch.arange(len(first), device=first.device))
