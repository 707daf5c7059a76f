"""The codes of one position: Eq. 2 (P_s), Eq. 3 (look-up) and Eq. 6 (straight-through)."""

import torch
from torch import Tensor, nn


class Codebook(nn.Module):
    """E^t: `weight` (K, D). `logits` is the one place where P_s is computed.

    `prior` (K) is added to the logits: the log of each code's share at the K-means start, scaled (0: Eq. 2
    to the letter). It is a constant, not learned.
    """

    weight: nn.Parameter
    prior: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, dim))
        self.register_buffer("prior", torch.zeros(size))

    def logits(self, hidden: Tensor) -> Tensor:
        """Eq. 2: hidden (..., D) -> unnormalised log P_s over the codes (..., K), always in single precision.

        Autocast is off here: codes chosen while learning are those chosen when asked.
        """
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden.float() @ self.weight.float().T * self.weight.shape[1] ** -0.5 + self.prior

    def assign(self, hidden: Tensor) -> Tensor:
        """Eq. 3: the most probable code of hidden (..., D), as int64 (...)."""
        return self.logits(hidden).argmax(-1)

    def quantize(self, hidden: Tensor, temperature: float = 1.0) -> Tensor:
        """Eq. 6: forward the chosen code's vector, backward the softmax-weighted mean of all vectors.

        Where P_s is sure of its code hardly any gradient reaches `hidden` (..., D). A `temperature` above 1
        (the paper's) divides the logits of the mean, and of nothing else.
        """
        logits = self.logits(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            soft = (logits / temperature).softmax(-1) @ self.weight.float()  # (..., D)
        hard = self.weight[logits.argmax(-1)].float()
        return soft + (hard - soft).detach()

    @torch.no_grad()
    def initialise(self, centres: Tensor, prior: Tensor) -> None:
        """Start from K-means centres (K, D), all brought to the same length, and their prior (K).

        With equal lengths the dot product of Eq. 2 and K-means on directions choose the same code.
        """
        self.weight.copy_(nn.functional.rms_norm(centres, (centres.shape[1],)))
        self.prior.copy_(prior)
