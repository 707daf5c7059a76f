"""The small Transformer decoder that turns an encoder-only language model into an encoder-decoder one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Reading:
    """What decoding needs of B documents: pooled vector (B, D), mask (B, L), keys and values of every layer."""

    pooled: Tensor
    mask: Tensor
    keys_values: Sequence[tuple[Tensor, Tensor]]  # each (B, heads, L, D / heads)


def heads_of(dim: int) -> int:
    """How many attention heads of about 64 numbers a width is cut into; they must divide it."""
    return next(heads for heads in range(max(dim // 64, 1), 0, -1) if dim % heads == 0)


class SmallDecoder(nn.Module):
    """Causal self-attention over the ID so far, cross-attention to the document, feed-forward; pre-norm.

    It starts from what it would say without any training: step s begins at the document's pooled
    vector less the sum of the inputs before it (the codes already given), and every layer adds a
    correction that is zero at the start. So untrained IDs are residual K-means of the encoder, and
    all that learning adds is learned.
    """

    def __init__(self, dim: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, dropout) for _ in range(layers))
        self.told = nn.Parameter(torch.tensor(0.8))  # how much of the pooled vector a code stands for

    def forward(self, states: Tensor, mask: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """States (B, L, D), mask (B, L) bool, pooling weight (B, L), inputs (B * V, S, D) -> (B * V, S, D).

        The V sequences of a document stand side by side and share its keys and values.
        """
        return self.answer(self.read(states, mask, weight), inputs)

    def read(self, states: Tensor, mask: Tensor, weight: Tensor) -> Reading:
        """The part of `forward` that does not depend on the inputs: worth keeping between the steps of a search."""
        return Reading(pool(states, weight), mask, [layer.read(states) for layer in self.layers])  # type: ignore[operator]

    def answer(self, reading: Reading, inputs: Tensor, only_last: bool = False) -> Tensor:
        """The rest of `forward`: inputs (B * V, S, D) -> (B * V, S, D), or (B * V, 1, D) of the last input alone."""
        pooled = reading.pooled.repeat_interleave(len(inputs) // len(reading.pooled), 0)  # (B * V, D)
        hidden = unit_rms(pooled)[:, None] - self.told * inputs.cumsum(1)  # (B, S, D)
        for number, (layer, (keys, values)) in enumerate(zip(self.layers, reading.keys_values, strict=True), start=1):
            hidden = layer(hidden, keys, values, reading.mask, only_last and number == len(self.layers))
        return hidden[:, -1:] if only_last else hidden


class DecoderLayer(nn.Module):
    """One pre-norm layer; the last projection of each part starts at zero."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_self, self.norm_cross, self.norm_feed = (nn.LayerNorm(dim) for _ in range(3))
        self.norm_states = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.query, self.key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.out_self, self.out_cross = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        for last in (self.out_self, self.out_cross, self.narrow):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def read(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the documents (B, L, D): each (B, heads, L, D / heads)."""
        keys, values = self._heads(self.key_value(self.norm_states(states)), 2)
        return keys, values

    def forward(self, hidden: Tensor, keys: Tensor, values: Tensor, mask: Tensor, only_last: bool = False) -> Tensor:
        q, k, v = self._heads(self.query_key_value(self.norm_self(hidden)), 3)
        if only_last:  # it sees all the others, so there is nothing to hide from it
            q, hidden = q[:, :, -1:], hidden[:, -1:]
        attended = _merge(F.scaled_dot_product_attention(q, k, v, is_causal=not only_last))
        hidden = hidden + self._drop(self.out_self(attended))
        query = self.query(self.norm_cross(hidden)).view(len(keys), -1, hidden.shape[-1])  # (B, V * S, D)
        (q,) = self._heads(query, 1)
        attended = _merge(F.scaled_dot_product_attention(q, keys, values, attn_mask=mask[:, None, None, :]))
        hidden = hidden + self._drop(self.out_cross(attended)).view_as(hidden)
        return hidden + self._drop(self.narrow(self._drop(F.gelu(self.widen(self.norm_feed(hidden))))))

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        B, S, _ = x.shape
        return x.view(B, S, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, S, D/heads)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def pool(states: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the token states: (B, L, D), (B, L) -> (B, D), in single precision."""
    states, weight = states.float(), weight.float()
    with torch.autocast(states.device.type, enabled=False):
        return torch.einsum("bld,bl->bd", states, weight) / weight.sum(1, keepdim=True).clamp_min(1e-6)


def unit_rms(x: Tensor) -> Tensor:
    """Scale every vector to a root mean square of 1, that is to length sqrt(D)."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=1e-6)


def _merge(x: Tensor) -> Tensor:
    B, _, S, _ = x.shape
    return x.transpose(1, 2).reshape(B, S, -1)
