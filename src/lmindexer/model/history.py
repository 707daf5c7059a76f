"""A user's history as the memory a decoder reads: one vector an item, of its text, its ID, or both.

The paper writes a history as one long text (section 4.3). Here each item's text is encoded once and kept as one
vector, so that a history of 20 items costs 20 steps, not 500 tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import heads_of

DECAY = 0.7  # at the start, an item weighs so much less in the pooled vector than the one after it


class HistoryReader(nn.Module):
    """Items (B, M), newest first -> Memory of B histories.

    Before any training its states are the items' text vectors, and the pooled vector leans to the newest: a
    decoder that has learned documents reads a history as a mixture of them. IDs, order and what the items say
    together are corrections that start at zero.
    """

    def __init__(
        self, dim: int, sizes: Sequence[int], items: int, layers: int, dropout: float, text: bool = True
    ) -> None:
        """`items` are read at most; `text`: take their vectors, too; without `sizes` their IDs are not read."""
        super().__init__()
        self.text = text
        self.codes = nn.ModuleList(nn.Embedding(size, dim) for size in sizes)
        self.place = nn.Embedding(items, dim)
        self.weight = nn.Parameter(DECAY ** torch.arange(items, dtype=torch.float32))
        for table in self.codes:
            nn.init.normal_(table.weight, std=0.02 if text else 1.0)  # type: ignore[arg-type]
        nn.init.zeros_(self.place.weight)
        self.layers = nn.ModuleList(_layer(dim, dropout) for _ in range(layers))

    @property
    def items(self) -> int:
        """How many items are read at most."""
        return len(self.place.weight)

    def forward(self, vectors: Tensor, paths: Tensor, mask: Tensor) -> Memory:
        """Text vectors (B, M, D), IDs (B, M, T + 1) and which items are there (B, M)."""
        states = vectors if self.text else torch.zeros_like(vectors)
        for position, table in enumerate(self.codes):
            states = states + table(paths[..., position])
        M = mask.shape[1]
        states = states + self.place.weight[:M]
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=~mask)
        return Memory(states.float(), mask, self.weight[:M].clamp_min(1e-4) * mask)


def _layer(dim: int, dropout: float) -> nn.Module:
    layer = nn.TransformerEncoderLayer(dim, heads_of(dim), 4 * dim, dropout, "gelu", batch_first=True, norm_first=True)
    for last in (layer.self_attn.out_proj, layer.linear2):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return layer
