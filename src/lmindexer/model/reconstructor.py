"""The shallow reconstructor: document tokens from code vectors and hints, Eq. 5 and 7."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.model.decoder import attend, drop, heads_of


class Reconstructor(nn.Module):
    """Recon: a masked slot asks with a code vector and its place; only the hint tokens answer.

    One layer by default. Deeper ones keep the hint embeddings as keys and values in every layer, so
    that no slot can look at a masked token through another slot.
    """

    vocabulary: Tensor  # (V, D): W, scaled to a root mean square of 1

    def __init__(self, vocabulary: Tensor, layers: int, max_tokens: int, dropout: float) -> None:
        super().__init__()
        V, D = vocabulary.shape
        self.heads, self.dropout = heads_of(D), dropout
        self.places = nn.Parameter(torch.randn(max_tokens, D) * 0.02)
        self.key_value_norm = nn.LayerNorm(D)
        self.layers = nn.ModuleList(ReconstructorLayer(D, self.heads, dropout) for _ in range(layers))
        self.out_norm = nn.LayerNorm(D)
        self.bias = nn.Parameter(torch.zeros(V))
        vocabulary = vocabulary.detach().float()
        self.register_buffer("vocabulary", vocabulary / vocabulary.square().mean().sqrt())
        self.document = nn.Sequential(nn.Linear(D, D), nn.GELU(), nn.Linear(D, D))

    def forward(
        self, codes: Sequence[Tensor], tokens: Tensor, hints: Tensor, slots: Tensor, most_hints: int | None = None
    ) -> Tensor:
        """Eq. 5/7: z_w (B, M, D) of the slots asked for.

        `codes` holds one (B, D) vector a known position, summed over (none: the warm-up of Eq. 12); `tokens` (B, L);
        `hints` (B, L) bool, true where the token may be seen, at most `most_hints` of a document; `slots` (B, M)
        places.
        """
        H = min(tokens.shape[1], most_hints or tokens.shape[1])
        visible, places = hints.to(torch.int8).topk(H)  # (B, H): the hints alone are keys
        visible, empty = visible.bool(), (~hints).all(1)
        known = self.vocabulary[tokens.gather(1, places)] + self.places[places]
        known = self.key_value_norm(known)  # (B, H, D)
        place = self.places[slots]  # (B, M, D)
        asked = [code[:, None] + place for code in codes] or [place]
        queries = torch.stack(asked, dim=1).flatten(1, 2)  # (B, T*M, D)
        visible = visible | empty[:, None]  # a document without hints attends to everything ...
        known = known.masked_fill(empty[:, None, None], 0.0)  # ... of nothing
        for layer in self.layers:
            queries = layer(queries, known, visible)
        return queries.view(len(tokens), len(asked), *slots.shape[1:], -1).sum(1)

    def token_logits(self, z: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Softmax input of Eq. 5 for z (M, D), over all tokens or only the `candidates` (C,)."""
        weight, bias = self.output_weights(candidates)
        return self.out_norm(z) @ weight.T + bias

    def output_weights(self, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """W (scaled by D^-0.5) and the tokens' bias, of all tokens or only the `candidates`."""
        which = slice(None) if candidates is None else candidates
        return self.vocabulary[which] * self.vocabulary.shape[1] ** -0.5, self.bias[which]

    def document_vector(self, codes: Sequence[Tensor]) -> Tensor:
        """The document's vector rebuilt from what is said of it, code vectors or h^t, each (B, D): (B, D)."""
        total = torch.stack(list(codes)).sum(0)
        return total + self.document(total)

    @torch.no_grad()
    def start_from_frequencies(self, counts: Tensor) -> None:
        """Begin with the unigram model: bias = log of each token's share (add-one)."""
        self.bias.copy_(((counts + 1) / (counts + 1).sum()).log())


class ReconstructorLayer(nn.Module):
    """Attention from slots to hints, then feed-forward; pre-norm, with residuals."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_query, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value, self.out = (
            nn.Linear(dim, dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(dim, dim),
        )
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, queries: Tensor, known: Tensor, visible: Tensor) -> Tensor:
        B, Q, D = queries.shape
        q = self.query(self.norm_query(queries)).view(B, Q, self.heads, -1).transpose(1, 2)
        k, v = self.key_value(known).view(B, known.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = attend(q, k, v, visible[:, None, None, :])
        queries = queries + self._drop(self.out(attended.transpose(1, 2).reshape(B, Q, D)))
        return queries + self._drop(self.narrow(F.gelu(self.widen(self.norm_feed(queries)))))

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout if self.training else 0.0)
