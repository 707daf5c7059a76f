"""What every stage works on, and what it asks of the model: hidden states and codes of documents."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmindexer import parallel
from lmindexer.config import LearnConfig
from lmindexer.devices import to_device
from lmindexer.learn.memories import Memories
from lmindexer.learn.parts import drawn
from lmindexer.learn.vector_memories import VectorMemories
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import pool
from lmindexer.model.reconstructor import Reconstructor
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.training import Trainer, TrainingState


@dataclass
class LearningState(TrainingState):
    """What Algorithm 1 has found so far, of N documents."""

    codes: Tensor  # (N, t) int64: of the positions that are learned
    chosen: Tensor | None = None  # (N,) int64: the codes that training last gave, at the position that learns
    targets: Tensor | None = None  # (N,) int64: the codes that spreading aims at there
    mean: Tensor | None = None  # (D,): of the documents' vectors, what alignment centres by there


@dataclass
class Learner:
    """All that a stage needs: what learns, what it learns from, and how."""

    config: LearnConfig
    indexer: SemanticIndexer
    reconstructor: Reconstructor
    memories: Memories | VectorMemories
    trainer: Trainer[LearningState]
    parts: Memories | None = None  # of the documents, where a loss asks what a part says

    @property
    def contrast(self) -> float:
        """What dot products of h^t, of length sqrt(D), are multiplied by in Eq. 9."""
        return 1 / (self.config.temperature * self.indexer.backbone.dim)

    def codes(self, t: int) -> Tensor:
        """The codes learned so far (N, t), where a resumed run may hold more."""
        return self.state.codes[:, :t]

    def part_of(self, rows: np.ndarray) -> Memory | None:
        """The memory of a part of each of the rows, drawn at random; None where no loss asks what a part says."""
        return None if self.parts is None else self.parts.memory(drawn(rows))

    def places(self, rows: np.ndarray) -> Tensor:
        """The rows as an index of what is on the device, sent there without waiting."""
        return to_device(rows, self.memories.device)

    @property
    def state(self) -> LearningState:
        return self.trainer.state


@torch.no_grad()
def hidden_states(learner: Learner, t: int, rows: np.ndarray | None = None) -> Tensor:
    """h^t (n, D) of the rows (all by default) given their first t codes, without dropout."""
    learner.indexer.eval()
    rows = np.arange(len(learner.memories)) if rows is None else rows
    hidden = torch.zeros(len(rows), learner.indexer.backbone.dim, device=learner.memories.device)
    order = np.argsort(learner.memories.lengths[rows], kind="stable")
    for at in parallel.shared_out(range(0, len(order), 256)):
        part = order[at : at + 256]
        memory = learner.memories.memory(rows[part])
        hidden[part] = learner.indexer(memory, learner.codes(t)[rows[part]])[:, -1]
    return parallel.summed(hidden)


@torch.no_grad()
def assign(learner: Learner, t: int) -> np.ndarray:
    """Eq. 3 for every document: the codes (N,) of position t."""
    learner.indexer.eval()
    codes = np.zeros(len(learner.memories), np.int32)
    for rows in parallel.shared_out(learner.memories.batches()):
        hidden = learner.indexer(learner.memories.memory(rows), learner.codes(t)[rows])
        codes[rows] = learner.indexer.codebooks[t].assign(hidden[:, -1]).cpu().numpy()
    return parallel.summed(torch.from_numpy(codes)).numpy()


@torch.no_grad()
def mean_document(learner: Learner) -> Tensor:
    """The mean (D) over all documents of their own vectors, the pooled encoder states that the decoder starts from."""
    learner.indexer.eval()
    total = torch.zeros(learner.indexer.backbone.dim, device=learner.memories.device)
    for rows in learner.memories.batches():
        memory = learner.memories.memory(rows)
        total += pool(memory.states, memory.weight).sum(0)
    return total / len(learner.memories)


@torch.no_grad()
def final_codes(learner: Learner) -> np.ndarray:
    """The codes (N, T) that the model gives by itself, as it would to documents it has never seen."""
    learner.indexer.eval()
    codes = np.empty((len(learner.memories), len(learner.config.sizes)), np.int32)
    for rows in learner.memories.batches():
        codes[rows] = learner.indexer.generate(learner.memories.memory(rows)).cpu().numpy()
    return codes
