"""Vectors that users bring, with the face of `Memories`: a document is one state, its own vector."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import to_device
from lmindexer.learn.memories import padded_on
from lmindexer.model.backbone import Backbone, Memory
from lmindexer.progress import Progress

SAMPLE = 50_000  # vectors that principal axes are found from


@torch.no_grad()
def axes_of(vectors: np.ndarray, dim: int, seed: int) -> Tensor | None:
    """The first `dim` principal axes (width, dim) of the directions of vectors (N, width); None where these fit in.

    Of all maps to so few numbers they keep the cosines best. The mean is not taken off: it is part of a cosine.
    """
    N, width = vectors.shape
    if width <= dim:
        return None
    rows = np.sort(np.random.default_rng(seed).permutation(N)[:SAMPLE])
    moment = torch.zeros(width, width)
    for at in range(0, len(rows), 4096):
        part = F.normalize(torch.from_numpy(np.asarray(vectors[rows[at : at + 4096]])).float(), dim=1)
        moment += part.T @ part
    axes: Tensor = torch.linalg.eigh(moment.double()).eigenvectors[:, -dim:].flip(1)  # (width, dim)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return (axes * largest.sign()).float().contiguous()  # an axis has no sign of its own: the same everywhere


def states_of(vectors: Tensor, dim: int, axes: Tensor | None) -> Tensor:
    """Vectors (n, width) as states (n, dim) of length sqrt(dim): narrower ones filled up with zeros, which changes no
    cosine, wider ones along `axes`.
    """
    vectors = F.normalize(vectors.float(), dim=1)
    vectors = vectors @ axes if axes is not None else F.pad(vectors, (0, dim - vectors.shape[1]))
    return F.normalize(vectors, dim=1).mul(dim**0.5)


class VectorMemories:
    """Vectors (N, width) of documents as a decoder's memories of one state; `tokens` are of their texts, to be rebuilt.

    They do not learn, whatever learns from them.
    """

    def __init__(
        self, backbone: Backbone, vectors: np.ndarray | Tensor, axes: Tensor | None, tokens: Tokens | None = None
    ) -> None:
        self.backbone, self.corpus_tokens = backbone, tokens
        self.axes = None if axes is None else axes.to(self.device)
        self.lengths = np.ones(len(vectors), np.int64) if tokens is None else np.diff(tokens.offsets)  # (N,)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def device(self) -> torch.device:
        return self.backbone.token_weight.device

    def tokens(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Token ids (B, L) and mask (B, L) of the rows' texts, on the device."""
        assert self.corpus_tokens is not None
        return padded_on(self.device, self.corpus_tokens, rows, self.backbone.pad_id)

    @torch.no_grad()
    def memory(self, rows: np.ndarray, views: int = 1) -> Memory:
        """The memory of the rows, a state each; all `views` of a document share it."""
        states = states_of(self._rows(rows), self.backbone.dim, self.axes)[:, None]  # (B, 1, D)
        mask = torch.ones(len(rows), 1, dtype=torch.bool, device=states.device)
        return Memory(states, mask, mask.float())

    def fill(self, progress: Progress) -> None:
        """Nothing is to be computed ahead."""

    def embeddings(self, progress: Progress | None = None) -> Tensor:
        """The vectors (N, width) as they were brought, on the device: they say which documents are near."""
        return torch.as_tensor(self._vectors).to(self.device)

    def batches(self, batch_size: int = 256) -> Iterator[np.ndarray]:
        """All rows: the order for a pass without learning."""
        for at in range(0, len(self), batch_size):
            yield np.arange(at, min(at + batch_size, len(self)))

    def _rows(self, rows: np.ndarray) -> Tensor:
        if isinstance(self._vectors, Tensor):
            return self._vectors[to_device(rows, self._vectors.device)].to(self.device)
        return to_device(np.asarray(self._vectors[rows]), self.device)
