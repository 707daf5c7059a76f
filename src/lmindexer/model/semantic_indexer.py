"""The semantic indexer: backbone and codebooks, Eq. 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmindexer.model.backbone import Backbone, Memory
from lmindexer.model.codebook import Codebook
from lmindexer.model.decoder import unit_rms


class SemanticIndexer(nn.Module):
    """SemEnc and the codebooks {E^t}: from a document and its prefix to the next code."""

    def __init__(self, backbone: Backbone, sizes: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.codebooks = nn.ModuleList(Codebook(size, backbone.dim) for size in sizes)
        self.start = nn.Parameter(torch.zeros(backbone.dim))
        self.register_buffer("centre", torch.zeros(len(sizes), backbone.dim))  # (T, D)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(codebook.weight) for codebook in self.codebooks)  # type: ignore[arg-type, misc]

    def forward(self, memory: Memory, prefix: Tensor) -> Tensor:
        """Eq. 1: h^0 ... h^t (B, t+1, D) for prefixes (B, t), in one pass, each of length sqrt(D)."""
        hidden = self.backbone.decode(memory, self.inputs(prefix))
        return unit_rms(unit_rms(hidden) - self.centre[: hidden.shape[1]])  # type: ignore[index]

    def inputs(self, prefix: Tensor) -> Tensor:
        """The decoder's input: a start vector, then the vectors of the codes so far (B, t+1, D)."""
        vectors = [self.start.expand(len(prefix), -1)]
        for codebook, codes in zip(self.codebooks, prefix.unbind(1), strict=False):
            vectors.append(codebook.weight[codes])  # type: ignore[union-attr, index]
        return torch.stack(vectors, dim=1)

    def code_vectors(self, prefix: Tensor) -> list[Tensor]:
        """Vectors of known codes (B, t), one (B, D) a position."""
        return list(self.inputs(prefix).unbind(1)[1:])

    @torch.no_grad()
    def generate(self, memory: Memory) -> Tensor:
        """The most probable code at every position in turn, greedily (B, T): the ID of a new document."""
        prefix = torch.empty(len(memory.states), 0, dtype=torch.long, device=memory.states.device)
        for codebook in self.codebooks:
            code = codebook.assign(self(memory, prefix)[:, -1])  # type: ignore[operator]
            prefix = torch.cat([prefix, code[:, None]], dim=1)
        return prefix
