"""What is minimised over wanted items: full cross-entropy, sampled softmax, or the binary loss of SASRec's paper."""

import torch
import torch.nn.functional as F
from torch import Tensor

LOSSES = ("ce", "sampled", "bce")


def next_item_loss(states: Tensor, items: Tensor, wanted: Tensor, loss: str, negatives: int) -> Tensor:
    """The mean over M wanted items (M, int64 from 0) of states (M, D), with the vectors `items` (N, D) of all items.

    "ce": cross-entropy over all N. "sampled": over the wanted one and `negatives` drawn uniformly for each state,
    without those that are the wanted one. "bce": binary, of the wanted one against as many negatives.
    """
    if loss == "ce":
        return F.cross_entropy((states @ items.T).float(), wanted)
    drawn = torch.randint(len(items), (len(wanted), negatives), device=wanted.device)
    right = (states * items[wanted]).sum(1, keepdim=True).float()  # (M, 1)
    wrong = torch.einsum("md,mnd->mn", states, items[drawn]).float()
    wrong = wrong.masked_fill(drawn == wanted[:, None], -torch.inf)
    if loss == "sampled":
        return F.cross_entropy(torch.cat([right, wrong], 1), torch.zeros_like(wanted))
    return F.softplus(-right).mean() + F.softplus(wrong).mean()
