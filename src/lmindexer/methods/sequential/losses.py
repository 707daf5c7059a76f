"""What is minimised over wanted items: full cross-entropy, sampled softmax, or the binary loss of SASRec's paper."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SCORES_AT_ONCE = {"cpu": 2**20, "cuda": 2**27}  # of full cross-entropy: on a CPU as many as its cache holds


def next_item_loss(states: Tensor, items: Tensor, wanted: Tensor, loss: str, negatives: int) -> Tensor:
    """The mean over M wanted items (M, int64 from 0) of states (M, D), with the vectors `items` (N, D) of all items.

    "ce": cross-entropy over all N. "sampled": over the wanted one and `negatives` drawn uniformly for each state,
    without those that are the wanted one. "bce": binary, of the wanted one against as many negatives.
    """
    if loss == "ce":
        return FullCrossEntropy.apply(states, items, wanted)
    drawn = torch.randint(len(items), (len(wanted), negatives), device=wanted.device)
    right = (states * items[wanted]).sum(1, keepdim=True).float()  # (M, 1)
    wrong = torch.einsum("md,mnd->mn", states, items[drawn]).float()
    wrong = wrong.masked_fill(drawn == wanted[:, None], -torch.inf)
    if loss == "sampled":
        return F.cross_entropy(torch.cat([right, wrong], 1), torch.zeros_like(wanted))
    return F.softplus(-right).mean() + F.softplus(wrong).mean()


class FullCrossEntropy(torch.autograd.Function):
    """The mean cross-entropy of inner products, some states at a time: the scores (M, N) are never there at once.

    The gradients are computed beside the loss, in place of the scores that they come from. On one core that takes
    less than half of the time of `F.cross_entropy(states @ items.T, wanted)`, and for 12,101 items and 3,000 states
    4 MB instead of 290 (bench/cross_entropy.py).
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, wanted: Tensor) -> Tensor:
        """States (M, D), items (N, D), wanted (M) int64."""
        M, step = len(states), max(SCORES_AT_ONCE.get(states.device.type, 2**20) // len(items), 1)
        with torch.autocast(states.device.type, enabled=False):
            vectors = items.float()
            of_states, of_items = torch.empty_like(states, dtype=torch.float32), torch.zeros_like(vectors)
            nats = vectors.new_zeros(())
            for at in range(0, M, step):
                some = states[at : at + step].float()
                scores = some @ vectors.T
                highest = scores.amax(1, keepdim=True)
                total = scores.sub_(highest).exp_().sum(1, keepdim=True)
                nats += (total.log() + highest).sum()
                of_states[at : at + step] = scores @ vectors / total
                of_items.addmm_(scores.T, some / total)
            right = vectors[wanted]
            nats -= (states * right).sum()
            of_states -= right
            of_items.index_add_(0, wanted, states.float(), alpha=-1)
        ctx.save_for_backward((of_states / M).to(states.dtype), (of_items / M).to(items.dtype))
        return nats / M

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Of the states and of the items."""
        of_states, of_items = ctx.saved_tensors
        return of_states * gradients[0], of_items * gradients[0], None
