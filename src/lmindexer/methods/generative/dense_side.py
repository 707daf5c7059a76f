"""The encoder's own vectors, taught beside the IDs: a query is nearer to its document than to others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.corpus.documents import Corpus
from lmindexer.indexers.kept_vectors import vectors_of
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import read_documents
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.nearest import cosines
from lmindexer.model.backbone import Backbone, Memory

KEPT = "taught_vectors.parquet"  # of a run: vectors of its documents by the encoder that was taught with the IDs


def pooled(backbone: Backbone, memory: Memory) -> Tensor:
    """The vectors (B, D) of what was read, of length 1, in single precision."""
    return F.normalize(backbone.pooled(memory.states.float(), memory.mask).float(), dim=1)


class DenseSide:
    """What the vectors learn: the softmax over all documents of a batch of cosine / temperature, as in DPR."""

    def __init__(
        self, finetuned: GenerativeModel, relevant: Sequence[set[int]], negatives: np.ndarray, temperature: float
    ) -> None:
        """By query: its `relevant` rows, and those of documents that are none, (Q, n)."""
        self._backbone, self._documents = finetuned.model.backbone, finetuned.documents()
        self._relevant, self._negatives, self._temperature = relevant, negatives, temperature

    def loss(self, memory: Memory, source: np.ndarray, target: np.ndarray) -> Tensor:
        """Of queries `source` (B,) that were read, and the documents `target` (B,) that answer them.

        Other documents that answer a query do not count for it.
        """
        rows = np.unique(np.concatenate([target, self._negatives[source].ravel()]))  # (M,)
        right = np.searchsorted(rows, target)
        out = np.array([[row in self._relevant[query] for row in rows.tolist()] for query in source.tolist()])
        out[np.arange(len(target)), right] = False
        documents = pooled(self._backbone, self._documents.memory(rows))
        with torch.autocast(documents.device.type, enabled=False):
            scores = pooled(self._backbone, memory) @ documents.T / self._temperature  # (B, M)
        scores = scores.masked_fill(torch.from_numpy(out).to(scores.device), -torch.inf)
        return F.cross_entropy(scores, torch.from_numpy(right).to(scores.device))


class TaughtVectors:
    """Scores all documents by the vectors of an encoder that was taught so."""

    def __init__(self, finetuned: GenerativeModel, keep: Path) -> None:
        """Vectors of documents are made once and kept in the file `keep`; it belongs to this model."""
        self._backbone = finetuned.model.backbone.eval()

        def read(rows: list[int]) -> Tensor:
            part = Corpus.from_documents((finetuned.corpus[row] for row in rows), keep_empty=True)
            tokens, _ = read_documents(part, self._backbone, finetuned.document_tokens, finetuned.long)
            return Memories(self._backbone, tokens, finetuned.bf16).embeddings()

        vectors = vectors_of(finetuned.corpus, keep, self._backbone.dim, read, keep=True)
        self._vectors = F.normalize(vectors.to(finetuned.device).float(), dim=1)  # (N, D)

    def scores(self, memory: Memory) -> np.ndarray:
        """The cosines of what was read with all documents: (b, N) float32."""
        return cosines(pooled(self._backbone, memory), self._vectors)
