"""A learner on a tiny checkpoint, and the stages that Algorithm 1 hands to its trainer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.learn.algorithm import learn_ids
from lmindexer.learn.learner import Learner, LearningState
from lmindexer.learn.memories import Memories, document_frequency
from lmindexer.learn.parts import parts_of
from lmindexer.model.backbone import load_backbone
from lmindexer.model.reconstructor import Reconstructor
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.progress import Progress
from lmindexer.training import Stage, State, Trainer, only_learning


class ReachedError(Exception):
    """The stage that was waited for."""


@dataclass
class Recorder(Trainer[State]):
    """Does what is done once and trains nothing: it keeps the stages, and stops at the one named `until`."""

    until: str = ""
    stages: dict[str, Stage] = field(default_factory=dict)

    def run(self, stage: Stage) -> None:
        self.stages[stage.name] = stage
        if stage.name == self.until:
            raise ReachedError


def nothing_learned(documents: int) -> LearningState:
    """Of so many documents: where Algorithm 1 begins."""
    return LearningState(torch.zeros(documents, 0, dtype=torch.long))


def losses_of(trainer: Trainer[Any], stage: Stage, rows: np.ndarray) -> dict[str, Tensor]:
    """The losses of some rows as the trainer takes them: what learns is in training mode, the rest has no gradient."""
    for module in stage.learning:
        module.train()
    with only_learning(trainer.modules, stage.parameters):
        return stage.losses(rows)


def new_learner(
    corpus: Corpus,
    checkpoint: Path,
    encoder: str,
    config: LearnConfig,
    trainer: Callable[[nn.Module], Trainer[LearningState]],
) -> Learner:
    """A learner that has learned nothing, or as much as a checkpoint in its trainer's folder says."""
    torch.manual_seed(config.seed)
    backbone = load_backbone(str(checkpoint), config.decoder_layers, config.dropout, encoder=encoder)
    backbone.freeze(encoder, config.top_layers)
    tokens = Tokens.build(corpus, lambda texts: backbone.tokenize(texts, config.max_tokens))
    share, counts = document_frequency(tokens, len(backbone.vocabulary))
    if config.weigh_tokens:
        backbone.weigh_tokens(torch.from_numpy(share).float())
    indexer = SemanticIndexer(backbone, config.sizes)
    reconstructor = Reconstructor(backbone.vocabulary, config.reconstructor_layers, config.max_tokens, config.dropout)
    reconstructor.start_from_frequencies(torch.from_numpy(counts).float())
    memories = Memories(backbone, tokens, bf16=False)
    memories.fill(Progress(None))
    parts = parts_of(memories, config.max_tokens) if config.reads_parts else None
    if parts is not None:
        parts.fill(Progress(None))
    trains = trainer(nn.ModuleDict({"indexer": indexer, "reconstructor": reconstructor}))
    trains.resume()
    return Learner(config, indexer, reconstructor, memories, trains, parts)


def stage_of(learner: Learner, name: str) -> Stage:
    """The stage of this name, with the learner as it is when that stage is handed to the trainer."""
    assert isinstance(learner.trainer, Recorder)
    learner.trainer.until = name
    try:
        learn_ids(learner, tuple(map(str, range(len(learner.memories)))))
    except ReachedError:
        return learner.trainer.stages[name]
    raise AssertionError(f"{name!r} is none of {', '.join(learner.trainer.stages)}")
