"""The small Transformer decoder that turns an encoder-only language model into an encoder-decoder one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Reading:
    """What decoding needs of B documents: the pooled vector (B, D), and how each layer's queries look at them.

    A look takes queries (B, Q, D), of all heads side by side, to what they find (B, Q, D).
    """

    pooled: Tensor
    looks: Sequence[Callable[[Tensor], Tensor]]


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
        self.heads = heads
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, dropout) for _ in range(layers))
        self.told = nn.Parameter(torch.tensor(0.8))  # how much of the pooled vector a code stands for

    def forward(self, states: Tensor, mask: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """States (B, L, D), mask (B, L) bool, pooling weight (B, L), inputs (B * V, S, D) -> (B * V, S, D).

        The V sequences of a document stand side by side and share one look at it.
        """
        queries = len(inputs) // len(states) * inputs.shape[1]
        few = queries * self.heads < states.shape[2]
        return self.answer((self.glance if few else self.read)(states, mask, weight), inputs)

    def read(self, states: Tensor, mask: Tensor, weight: Tensor) -> Reading:
        """The part of `forward` that does not depend on the inputs: worth keeping between the steps of a search."""
        return Reading(pool(states, weight), [partial(_look, *layer.read(states), mask) for layer in self._layers])

    def glance(self, states: Tensor, mask: Tensor, weight: Tensor) -> Reading:
        """The same as `read`, and cheaper where fewer than D / heads queries of a document follow, in all.

        A query's product with a key, q (W x), is (q W) x: the few queries are mapped, not the many states. What a layer
        normalises is normalised once, for all layers.
        """
        alike = _as_multiplied(F.layer_norm(states.float(), states.shape[2:]))
        return Reading(pool(states, weight), [partial(layer.glance, alike, mask) for layer in self._layers])

    @property
    def _layers(self) -> "list[DecoderLayer]":
        return cast("list[DecoderLayer]", list(self.layers))

    def answer(self, reading: Reading, inputs: Tensor, only_last: bool = False) -> Tensor:
        """The rest of `forward`: inputs (B * V, S, D) -> (B * V, S, D), or (B * V, 1, D) of the last input alone."""
        pooled = reading.pooled.repeat_interleave(len(inputs) // len(reading.pooled), 0)  # (B * V, D)
        hidden = unit_rms(pooled)[:, None] - self.told * inputs.cumsum(1)  # (B, S, D)
        for number, (layer, look) in enumerate(zip(self.layers, reading.looks, strict=True), start=1):
            hidden = layer(hidden, len(reading.pooled), look, only_last and number == len(self.layers))
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

    def glance(self, states: Tensor, mask: Tensor, query: Tensor) -> Tensor:
        """What queries (B, Q, D) find in normalised states (B, L, D) by the keys and values that `read` would make.

        A key's bias adds the same to all scores of a query, so it does not count; the value's stays as it is, since
        attention sums to 1.
        """
        B, Q, D = query.shape
        key, value = self.key_value.weight.view(2, self.heads, -1, D).unbind(0)  # each (heads, D / heads, D)
        scale = self.norm_states.weight
        query = torch.einsum("bqhk,hkd->bhqd", query.view(B, Q, self.heads, -1), key * scale).flatten(1, 2)
        scores = (query.to(states.dtype) @ states.mT).float() * (D // self.heads) ** -0.5  # (B, heads * Q, L)
        found = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1).to(states.dtype) @ states
        found = found.view(B, self.heads, Q, D) * scale + self.norm_states.bias
        return torch.einsum("bhqd,hkd->bqhk", found, value).flatten(2) + self.key_value.bias[D:]

    def forward(
        self, hidden: Tensor, documents: int, look: Callable[[Tensor], Tensor], only_last: bool = False
    ) -> Tensor:
        q, k, v = self._heads(self.query_key_value(self.norm_self(hidden)), 3)
        if only_last:  # it sees all the others, so there is nothing to hide from it
            q, hidden = q[:, :, -1:], hidden[:, -1:]
        before = None if only_last else torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()
        attended = _merge(attend(q, k, v, before))
        hidden = hidden + self._drop(self.out_self(attended))
        query = self.query(self.norm_cross(hidden)).view(documents, -1, hidden.shape[-1])  # (B, V * S, D)
        hidden = hidden + self._drop(self.out_cross(look(query))).view_as(hidden)
        return hidden + self._drop(self.narrow(self._drop(F.gelu(self.widen(self.norm_feed(hidden))))))

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        B, S, _ = x.shape
        return x.view(B, S, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, S, D/heads)

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout if self.training else 0.0)


def pool(states: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the token states: (B, L, D), (B, L) -> (B, D), in single precision."""
    states, weight = states.float(), weight.float()
    with torch.autocast(states.device.type, enabled=False):
        return torch.einsum("bld,bl->bd", states, weight) / weight.sum(1, keepdim=True).clamp_min(1e-6)


def unit_rms(x: Tensor) -> Tensor:
    """Scale every vector to a root mean square of 1, that is to length sqrt(D)."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=1e-6)


def _as_multiplied(x: Tensor) -> Tensor:
    """In the precision that products are computed in, converted once for all of them."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def _look(keys: Tensor, values: Tensor, mask: Tensor, query: Tensor) -> Tensor:
    """What queries (B, Q, D) find by keys and values (B, heads, L, D / heads)."""
    q = query.unflatten(2, (keys.shape[1], -1)).transpose(1, 2)
    return _merge(attend(q, keys, values, mask[:, None, None, :]))


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of (B, heads, Q, D / heads) to (B, heads, L, D / heads), where `mask`, if any, is true.

    With gradients on a CPU it is written out: in bfloat16 torch's own kernel takes up to six times as long there.
    """
    if query.device.type != "cpu" or not query.requires_grad:
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    scores = (query @ keys.mT).float() * query.shape[-1] ** -0.5
    return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1) @ values


def drop(x: Tensor, share: float) -> Tensor:
    """Dropout. On a CPU, where torch draws a number for every element, 64 random bits serve four of them."""
    if not share or x.device.type != "cpu":
        return F.dropout(x, share)
    each = x.numel() // max(len(x), 1)  # a row's numbers are its own, as `parallel` needs them
    bits = torch.empty(len(x), -(-each // 4), dtype=torch.int64).random_(-(2**63), None)
    numbers = bits.view(torch.int16)[:, :each].reshape(x.shape)  # -2^15 to 2^15 - 1, all as likely
    kept = numbers >= round(share * 2**16) - 2**15
    return x * (kept.to(x.dtype) / (1 - share))


def _merge(x: Tensor) -> Tensor:
    B, _, S, _ = x.shape
    return x.transpose(1, 2).reshape(B, S, -1)
