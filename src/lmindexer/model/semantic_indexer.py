"""The semantic indexer: backbone and codebooks, Eq. 1."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lmindexer.model.backbone import Backbone, Memory
from lmindexer.model.codebook import Codebook
from lmindexer.model.decoder import unit_rms


class Codebooks(nn.ModuleList):
    """E^0, E^1, ...: a ModuleList whose items have a type."""

    def __getitem__(self, t: int) -> Codebook:  # type: ignore[override]
        codebook = super().__getitem__(t)
        assert isinstance(codebook, Codebook)
        return codebook

    def __iter__(self) -> Iterator[Codebook]:
        return (self[t] for t in range(len(self)))


class SemanticIndexer(nn.Module):
    """SemEnc and the codebooks {E^t}: from a document and its prefix to the next code."""

    centre: Tensor  # (T, D): the origin of each position's directions

    def __init__(self, backbone: Backbone, sizes: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.codebooks = Codebooks(Codebook(size, backbone.dim) for size in sizes)
        self.start = nn.Parameter(torch.zeros(backbone.dim))
        self.register_buffer("centre", torch.zeros(len(sizes), backbone.dim))  # (T, D)
        for t in range(1, len(sizes)):
            self.register_buffer(f"shift_{t}", torch.zeros(sizes[0], backbone.dim))
        self.register_load_state_dict_pre_hook(_without_shifts)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(codebook.weight) for codebook in self.codebooks)

    def forward(self, memory: Memory, prefix: Tensor) -> Tensor:
        """Eq. 1: h^0 ... h^t (B, t+1, D) for prefixes (B, t), in one pass, each of length sqrt(D).

        Prefixes (B * V, t) give V of them to each document, side by side, with one look at the memory.
        """
        hidden = self.backbone.decode(memory, self.inputs(prefix))
        origins = [self.origin(prefix[:, :t]) for t in range(prefix.shape[1] + 1)]  # each (B * V, D)
        return _directions(hidden, torch.stack(origins, dim=1))

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        """From prefixes (B * V, t) to the last position h^t (B * V, D) of `forward`, for prefix after prefix.

        The keys and values of the documents are computed once, here.
        """
        last = self.backbone.reader(memory)
        return lambda prefix: _directions(last(self.inputs(prefix))[:, 0], self.origin(prefix))

    def inputs(self, prefix: Tensor) -> Tensor:
        """The decoder's input: a start vector, then the vectors of the codes so far (B, t+1, D)."""
        vectors = [self.start.expand(len(prefix), -1)]
        for codebook, codes in zip(self.codebooks, prefix.unbind(1), strict=False):
            vectors.append(codebook.weight[codes])
        return torch.stack(vectors, dim=1)

    def code_vectors(self, prefix: Tensor) -> list[Tensor]:
        """Vectors of known codes (B, t), one (B, D) a position."""
        return list(self.inputs(prefix).unbind(1)[1:])

    def shift(self, t: int) -> Tensor:
        """How far the origin of position t >= 1 is moved for the documents of each first code (K, D); 0 by default."""
        shift = getattr(self, f"shift_{t}")
        assert isinstance(shift, Tensor)
        return shift

    def origin(self, prefix: Tensor) -> Tensor:
        """What the directions h^t of documents with these prefixes (B, t) are seen from (B, D)."""
        B, t = prefix.shape
        return self.centre[t] + self.shift(t)[prefix[:, 0]] if t else self.centre[0].expand(B, -1)

    @torch.no_grad()
    def generate(self, memory: Memory) -> Tensor:
        """The most probable code at every position in turn, greedily (B, T): the ID of a new document."""
        prefix = torch.empty(len(memory.states), 0, dtype=torch.long, device=memory.states.device)
        for codebook in self.codebooks:
            code = codebook.assign(self(memory, prefix)[:, -1])
            prefix = torch.cat([prefix, code[:, None]], dim=1)
        return prefix


def _directions(hidden: Tensor, origin: Tensor) -> Tensor:
    return unit_rms(unit_rms(hidden) - origin)


def _without_shifts(model: SemanticIndexer, tensors: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights that were saved before there were shifts have none."""
    for t in range(1, len(model.sizes)):
        tensors.setdefault(f"{prefix}shift_{t}", torch.zeros_like(model.shift(t)))
