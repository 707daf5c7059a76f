"""The step as the authors' release takes it, written anew: the peer that ours is timed beside.

Two full passes of the encoder and the decoder a document, masks drawn in Python document by document, the
reconstructor's queries at every place, and logits of the full vocabulary at every place (docs/paper.md). The weights
are those of the learner, in the same precision.
"""

import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.learn.learner import Learner
from lmindexer.training import ADAM


class PaperStep:
    """One call is one step at position t of some documents; it learns, with an optimiser of its own."""

    def __init__(self, learner: Learner, t: int) -> None:
        self.learner, self.t = learner, t
        indexer, recon = learner.indexer, learner.reconstructor
        still = {p for codebook in indexer.codebooks for p in codebook.parameters()}
        still -= set(indexer.codebooks[t].parameters())
        weights = [p for p in [*indexer.parameters(), *recon.parameters()] if p not in still]
        self.weights = weights
        self.optimizer = torch.optim.AdamW(weights, lr=1e-5, **ADAM)
        self.dice = random.Random(0)

    def __call__(self, rows: np.ndarray) -> None:
        learner = self.learner
        learner.indexer.train()
        learner.reconstructor.train()
        with learner.trainer.precision():
            loss = self.loss(rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, learner.config.clip)
        self.optimizer.step()

    def loss(self, rows: np.ndarray) -> Tensor:
        """Eq. 11 with both views read one after the other."""
        learner, t = self.learner, self.t
        indexer = learner.indexer
        tokens, mask = learner.memories.tokens(rows)
        prefix = learner.codes(t)[rows]
        first, second = (self._hidden(tokens, mask, prefix) for _ in range(2))
        codebook = indexer.codebooks[t]
        vectors = [v.detach() for v in indexer.code_vectors(prefix)] + [codebook.quantize(first[:, t])]
        loss = self._reconstruction(vectors, tokens, mask)
        same = (prefix[:, None] == prefix[None, :]).all(-1)
        scores = (first[:, t] @ second[:, t].T * learner.contrast).float().masked_fill(~same, -torch.inf)
        loss = loss + F.cross_entropy(scores, torch.arange(len(rows), device=scores.device))
        for j in range(t):
            loss = loss + F.cross_entropy(indexer.codebooks[j].logits(first[:, j]), prefix[:, j])
        return loss

    def _hidden(self, tokens: Tensor, mask: Tensor, prefix: Tensor) -> Tensor:
        indexer = self.learner.indexer
        return indexer(indexer.backbone.remember(tokens, mask), prefix)

    def _reconstruction(self, vectors: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
        learner, recon = self.learner, self.learner.reconstructor
        hints = self._hints(tokens, mask, learner.config.at("hints", self.t))
        places: Any = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        z = recon(vectors, tokens, hints, places)
        logits = recon.token_logits(z.flatten(0, 1)).float()
        return F.cross_entropy(logits, tokens.flatten().masked_fill(~(mask & ~hints).flatten(), -100))

    def _hints(self, tokens: Tensor, mask: Tensor, ratio: float) -> Tensor:
        """Hints (B, L): a share of the places of each document, drawn in Python."""
        shown = []
        for length in mask.sum(1).tolist():
            chosen = set(self.dice.sample(range(length), int(ratio * length)))
            shown.append([place in chosen for place in range(tokens.shape[1])])
        return torch.tensor(shown, device=tokens.device)
