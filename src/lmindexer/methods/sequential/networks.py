"""GRU4Rec, SASRec, BERT4Rec, HGN, FDSA and FMLP-Rec: items in order -> what is wanted after each of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmindexer.config import FinetuneConfig

HGN_WINDOW = 5  # items that HGN looks back at, as published


class SequenceNetwork(nn.Module, ABC):
    """Items (B, L) -> states (B, L, D); the score of an item is the inner product of its embedding with a state.

    Item 0 is none: histories are filled up with it at their end. Items of the catalogue are 1 to N.
    """

    causal = True  # a state sees its own item and those before it; otherwise all, and the items asked for are masked

    def __init__(self, items: int, config: FinetuneConfig, texts: Tensor | None = None) -> None:
        """`texts` (N, F) are vectors of the items' texts, for a network that reads them."""
        super().__init__()
        self.dim = config.dim
        self.embedding = nn.Embedding(items + 1 + (not self.causal), config.dim, padding_idx=0)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.xavier_normal_(self.embedding.weight)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.build(config, texts)

    @abstractmethod
    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        """Make the layers of the network."""

    @abstractmethod
    def forward(self, items: Tensor) -> Tensor:
        """States (B, L, D) of items (B, L)."""

    def catalogue(self) -> Tensor:
        """The vectors (N, D) of the items 1 to N, which states are compared with."""
        return self.embedding.weight[1 : self.embedding.num_embeddings - (not self.causal)]


class Gru4Rec(SequenceNetwork):
    """Hidasi et al. 2016: a recurrent network."""

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        self.gru = nn.GRU(config.dim, config.dim, config.layers, batch_first=True)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(self, items: Tensor) -> Tensor:
        states, _ = self.gru(self.dropout(self.embedding(items)))
        return self.out(states)


class SasRec(SequenceNetwork):
    """Kang and McAuley 2018: a transformer in which an item sees those before it."""

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        self.blocks = Blocks(config, causal=True)

    def forward(self, items: Tensor) -> Tensor:
        return self.blocks(self.embedding(items), items == 0)


class Bert4Rec(SequenceNetwork):
    """Sun et al. 2019: a transformer in which items see all others, and hidden ones are guessed."""

    causal = False

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        self.blocks = Blocks(config, causal=False)
        self.head = nn.Sequential(nn.Linear(config.dim, config.dim), nn.GELU(), nn.LayerNorm(config.dim))

    @property
    def mask(self) -> int:
        """The item that stands for a hidden one."""
        return self.embedding.num_embeddings - 1

    def forward(self, items: Tensor) -> Tensor:
        return self.head(self.blocks(self.embedding(items), items == 0))


class Fdsa(SequenceNetwork):
    """Zhang et al. 2019: one transformer over the items and one over their features, here vectors of their texts."""

    texts: Tensor  # (N + 1, F), zero for none

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        if texts is None:
            raise ValueError("FDSA reads the texts of items; give their vectors")
        self.register_buffer("texts", torch.cat([torch.zeros_like(texts[:1]), texts]).float(), persistent=False)
        self.project = nn.Linear(texts.shape[1], config.dim)
        self.of_items, self.of_texts = Blocks(config, causal=True), Blocks(config, causal=True)
        self.out = nn.Linear(2 * config.dim, config.dim)

    def forward(self, items: Tensor) -> Tensor:
        features = self.project(self.texts[items])
        states = self.of_items(self.embedding(items), items == 0), self.of_texts(features, items == 0)
        return self.out(torch.cat(states, 2))


class Hgn(SequenceNetwork):
    """Ma et al. 2019: gates choose what counts of the last items, and which of them.

    The paper has an embedding of each user; here a user is the mean of what they took so far, so that those who come
    later are served, too.
    """

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        D = config.dim
        self.feature_item, self.feature_user = nn.Linear(D, D, bias=False), nn.Linear(D, D)
        self.instance_item, self.instance_user = nn.Linear(D, 1, bias=False), nn.Linear(D, HGN_WINDOW, bias=False)
        self.wanted = nn.Embedding(self.embedding.num_embeddings - 1, D)
        nn.init.xavier_normal_(self.wanted.weight)

    def catalogue(self) -> Tensor:
        """As of any network; HGN has a second embedding of each item, as what is wanted."""
        return self.wanted.weight

    def forward(self, items: Tensor) -> Tensor:
        vectors = self.dropout(self.embedding(items))  # (B, L, D)
        present = (items > 0).float()
        user = vectors.cumsum(1) / present.cumsum(1).clamp_min(1)[..., None]
        window, exists = windows(vectors), windows(present[..., None])  # (B, L, W, D), (B, L, W, 1)
        gated = window * torch.sigmoid(self.feature_item(window) + self.feature_user(user)[:, :, None])
        counts = torch.sigmoid(self.instance_item(gated) + self.instance_user(user)[..., None]) * exists
        chosen = (gated * counts).sum(2) / counts.sum(2).clamp_min(1e-6)
        return user + chosen + window.sum(2)  # the inner products of the paper's three terms, summed


def windows(states: Tensor) -> Tensor:
    """The last HGN_WINDOW states up to each position, (B, L, W, D); nothing is 0."""
    before = states.new_zeros(len(states), HGN_WINDOW - 1, states.shape[2])
    return torch.cat([before, states], 1).unfold(1, HGN_WINDOW, 1).transpose(2, 3)


class Fmlp(SequenceNetwork):
    """Zhou et al. 2022, FMLP-Rec: filters over the sequence, learned by frequency, in place of attention.

    In the paper a filter goes round: in the second layer the last state sees the first, and the first the last, so
    that every prefix is an example of its own. Here a filter looks back only, and all are learned in one pass.
    """

    def build(self, config: FinetuneConfig, texts: Tensor | None) -> None:
        self.places, self.norm = Places(config), nn.LayerNorm(config.dim)
        self.layers = nn.Sequential(*(Filter(config) for _ in range(config.layers)))

    def forward(self, items: Tensor) -> Tensor:
        return self.layers(self.dropout(self.norm(self.embedding(items) + self.places(items == 0))))


class Filter(nn.Module):
    """A layer of FMLP-Rec: `filtered`, then a feed-forward network."""

    def __init__(self, config: FinetuneConfig) -> None:
        super().__init__()
        D, self.most = config.dim, config.max_items
        self.weight = nn.Parameter(0.02 * torch.randn(self.most // 2 + 1, D, 2))  # complex, of each frequency
        self.dropout = nn.Dropout(config.dropout)
        self.norm, self.last_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.feed_forward = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D), self.dropout)

    def forward(self, states: Tensor) -> Tensor:
        taps = torch.fft.irfft(torch.view_as_complex(self.weight), self.most, 0)
        states = self.norm(states + self.dropout(filtered(states, taps)))
        return self.last_norm(states + self.feed_forward(states))


def filtered(states: Tensor, taps: Tensor) -> Tensor:
    """Each of the states (B, L, D) becomes the sum of `taps` (W, D) times the state so many places before it."""
    L = states.shape[1]
    size = 2 * L  # as nothing then comes round from the end
    return torch.fft.irfft(torch.fft.rfft(states, size, 1) * torch.fft.rfft(taps[:L], size, 0), size, 1)[:, :L]


class Places(nn.Module):
    """Learned vectors of positions, which count from the newest item."""

    def __init__(self, config: FinetuneConfig) -> None:
        super().__init__()
        self.vectors = nn.Embedding(config.max_items + 1, config.dim)
        nn.init.xavier_normal_(self.vectors.weight)

    def forward(self, empty: Tensor) -> Tensor:
        """(B, L, D), of sequences that are `empty` (B, L) at their ends."""
        newest = self.vectors.num_embeddings - 1
        place = newest + 1 - (~empty).sum(1, keepdim=True) + torch.arange(empty.shape[1], device=empty.device)
        return self.vectors(place.clamp_max(newest))


class Blocks(nn.Module):
    """Transformer blocks over (B, L, D) with learned positions."""

    def __init__(self, config: FinetuneConfig, causal: bool) -> None:
        super().__init__()
        D, self.causal = config.dim, causal
        self.places = Places(config)
        self.dropout, self.norm = nn.Dropout(config.dropout), nn.LayerNorm(D)
        self.layers = nn.ModuleList(
            SelfAttention(config)
            if causal
            else nn.TransformerEncoderLayer(D, config.heads, D, config.dropout, batch_first=True, norm_first=True)
            for _ in range(config.layers)
        )

    def forward(self, states: Tensor, empty: Tensor) -> Tensor:
        """`empty` (B, L): where no item stands; these come last."""
        L = states.shape[1]
        states = self.dropout(states * states.shape[2] ** 0.5 + self.places(empty))
        later = torch.ones(L, L, dtype=torch.bool, device=states.device).triu(1) if self.causal else None
        for layer in self.layers:
            states = layer(states, src_mask=later, src_key_padding_mask=None if self.causal else empty)
        return self.norm(states)


class SelfAttention(nn.Module):
    """A block of SASRec as its authors' code has it: only the item that looks is normalised, not what it looks at."""

    def __init__(self, config: FinetuneConfig) -> None:
        super().__init__()
        D = config.dim
        self.look, self.think = nn.LayerNorm(D), nn.LayerNorm(D)
        self.attention = nn.MultiheadAttention(D, config.heads, config.dropout, batch_first=True)
        dropout = nn.Dropout(config.dropout)
        self.feed_forward = nn.Sequential(nn.Linear(D, D), dropout, nn.ReLU(), nn.Linear(D, D), dropout)

    def forward(self, states: Tensor, src_mask: Tensor | None, src_key_padding_mask: Tensor | None) -> Tensor:
        """The arguments of nn.TransformerEncoderLayer."""
        seen, _ = self.attention(
            self.look(states), states, states, src_key_padding_mask, need_weights=False, attn_mask=src_mask
        )
        states = self.think(states + seen)
        return states + self.feed_forward(states)


NETWORKS: dict[str, Callable[..., SequenceNetwork]] = {
    "gru4rec": Gru4Rec,
    "sasrec": SasRec,
    "bert4rec": Bert4Rec,
    "hgn": Hgn,
    "fdsa": Fdsa,
    "fmlp": Fmlp,
}
READ_TEXTS = ("fdsa",)
