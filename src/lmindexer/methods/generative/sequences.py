"""Recommending is taught on whole sequences: every item of a user is the next one after those before it."""

import numpy as np
import torch
from torch import Tensor

from lmindexer.methods.generative.eq14 import id_loss
from lmindexer.methods.generative.histories import HistoryMemories, States
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.sequential.losses import FullCrossEntropy
from lmindexer.methods.teachable import Lesson
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.sequences import seen_in_training


class WholeSequences:
    """One causal pass over a user's items gives what all that they took next is learned from: its ID and its vector.

    An item that nobody took is no wrong answer to the second: nothing tells that it is.
    """

    def __init__(self, model: GenerativeModel, histories: HistoryMemories, task: RecommendTask, codes: Tensor) -> None:
        self.model, self.histories, self.codes, self.config = model, histories, codes, model.config
        examples = task.train
        self.user, self.target = examples.user, examples.target
        last = np.zeros(len(task.sequences.users), np.int64)
        np.maximum.at(last, self.user, examples.end)
        self.read = last[self.user] - examples.end < self.config.max_items  # (E,) whether one pass reaches so far
        self.taken = torch.from_numpy(seen_in_training(task.sequences, len(task.corpus))).to(model.device)

    def lesson(self) -> Lesson:
        """A step is of `batch_size` users, of any length."""
        return Lesson(
            lengths=self.histories.lengths,
            tokens=None,
            epoch=lambda rng: np.flatnonzero(self.read),
            losses=self.losses,
            batches=self.batches,
        )

    def batches(self, pairs: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """Pairs of whole users, these in any order."""
        pairs = pairs[self.read[pairs]]
        users, place = np.unique(self.user[pairs], return_inverse=True)
        rank = rng.permutation(len(users))[place]
        order = np.argsort(rank, kind="stable")
        cuts = np.searchsorted(rank[order], np.arange(self.config.batch_size, len(users), self.config.batch_size))
        return np.split(pairs[order], cuts)

    def losses(self, pairs: np.ndarray) -> dict[str, Tensor]:
        """Of these pairs Eq. 14, and the cross-entropy of the next item over all that were taken."""
        states = self.histories.states(pairs)
        targets = torch.from_numpy(self.target[pairs]).to(self.codes.device)
        ids = self._ids(states, targets)
        if not self.config.dense:
            return {"loss": ids}
        dense = self._dense(states, targets)
        return {"loss": ids + self.config.dense * dense, "ids": ids, "dense": dense}

    def _ids(self, states: States, targets: Tensor) -> Tensor:
        """Eq. 14 of a share of the pairs, drawn anew."""
        if self.config.id_share < 1:
            drawn = torch.randperm(len(targets))[: max(round(self.config.id_share * len(targets)), 1)]
            states, targets = states.select(drawn.to(targets.device)), targets[drawn.to(targets.device)]
        memory = self.histories.memory_of(states)
        return id_loss(self.model, memory, self.codes[targets], torch.ones(len(targets), device=targets.device))

    def _dense(self, states: States, targets: Tensor) -> Tensor:
        items = self.histories.items
        candidates = (self.taken & items.known).nonzero()[:, 0]
        place = torch.zeros_like(self.taken, dtype=torch.long)
        place[candidates] = torch.arange(len(candidates), device=place.device)
        loss: Tensor = FullCrossEntropy.apply(states.newest, states.catalogue[candidates], place[targets])
        return loss
