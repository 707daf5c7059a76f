"""What reads a user's items in order: each is one vector, and one causal pass gives a state after every one of them.

The paper writes a history as one long text (section 4.3). Here the text of an item is encoded once and kept, a state
is near to the vector of what comes next, and the decoder of IDs sees the last few states and texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lmindexer.config import FinetuneConfig
from lmindexer.methods.sequential.networks import Blocks
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import unit_rms

RECENT = 4  # newest items of a history that the decoder sees, each with the state after it
DECAY = 0.7  # at the start, an item weighs so much less in the pooled vector than the one after it
HIDDEN = 256  # width of the layer between an item's text and its vector


@dataclass(frozen=True)
class Items:
    """What can be read of N documents as items of a history, on the model's device."""

    vectors: Tensor  # (N, D) of their texts, half precision
    paths: Tensor  # (N, T + 1) int64, their IDs
    known: Tensor  # (N,) bool: which were learned from, and have what was learned of them alone


class HistoryReader(nn.Module):
    """Vectors of items, states of histories, and the memory that the decoder of IDs reads.

    Before any training that memory is the items' texts, and its pooled vector leans to the newest: a decoder that has
    learned documents reads a history as a mixture of them. What the items say together is a correction that starts at
    zero. An item that came later, or was never taken, is what its text and its ID say.
    """

    centre: Tensor  # (D,) the mean of the texts at the beginning

    def __init__(self, config: FinetuneConfig, width: int, sizes: Sequence[int], items: int) -> None:
        """`width` (D) is that of the texts' vectors and of the decoder; without `sizes` IDs are not read."""
        super().__init__()
        d, self.most = config.dim, config.max_items
        self.register_buffer("centre", torch.zeros(width))
        self.text = None if config.items == "ids" else nn.Sequential(
            nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, d)
        )  # fmt: skip
        self.codes = nn.ModuleList(nn.Embedding(size, d) for size in sizes)
        self.embedding = nn.Embedding(items, d) if config.item_embeddings else None
        self.blocks = Blocks(replace(config, layers=config.history_layers, dropout=config.history_dropout), causal=True)
        self.widen = nn.Linear(d, width)
        self.weight = nn.Parameter(DECAY ** torch.arange(RECENT, dtype=torch.float32))
        self._start()

    def _start(self) -> None:
        """Small vectors of items; a state adds nothing to a text, and an item has nothing that is its alone."""
        if self.text is not None:
            nn.init.xavier_normal_(self.text[-1].weight, gain=0.1)  # type: ignore[arg-type]
            nn.init.zeros_(self.widen.weight)
            nn.init.zeros_(self.widen.bias)
        for table in self.codes:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)

    def catalogue(self, items: Items) -> Tensor:
        """The vectors (N, d) of all items, read in histories and compared with states alike."""
        vectors = torch.zeros(len(items.paths), self.widen.in_features, device=items.paths.device)
        if self.text is not None:
            vectors = vectors + self.text(unit_rms(items.vectors.float() - self.centre))
        for position, table in enumerate(self.codes):
            vectors = vectors + table(items.paths[:, position])
        if self.embedding is not None:
            vectors = vectors + self.embedding.weight * items.known[:, None]
        return vectors

    def forward(self, catalogue: Tensor, rows: Tensor, present: Tensor) -> Tensor:
        """States (B, L, d) after each item of histories `rows` (B, L), oldest first; what is not `present` is last."""
        states: Tensor = self.blocks(catalogue[rows] * present[..., None], ~present)
        return states.float()

    def memory(self, states: Tensor, texts: Tensor, mask: Tensor) -> Memory:
        """Of the newest items of B histories, newest first: states (B, M, d), texts (B, M, D), which are (B, M)."""
        widened = self.widen(states).float()
        seen = (widened if self.text is None else texts + widened) * mask[..., None]
        return Memory(seen, mask, self.weight[: mask.shape[1]].clamp_min(1e-4) * mask)
