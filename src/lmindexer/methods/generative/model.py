"""A model that gives IDs to queries or histories (Eq. 14), with the documents and IDs that it was made for."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_bf16
from lmindexer.ids.table import IdTable
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import read_documents
from lmindexer.learn.vector_memories import VectorMemories
from lmindexer.methods.generative.history import HistoryReader, Items
from lmindexer.model.semantic_indexer import SemanticIndexer


@dataclass(frozen=True, eq=False)
class GenerativeModel:
    """Model, documents and IDs; `reader` and `items` where histories are read as one vector an item."""

    config: FinetuneConfig
    model: SemanticIndexer
    corpus: Corpus
    ids: IdTable
    document_tokens: int  # of a document so many are read at a time
    long: str  # what becomes of a longer one
    reader: HistoryReader | None = None
    items: Items | None = None
    new: tuple[int, ...] = ()  # rows of documents that came after training
    given: bool = False  # whether users brought the vectors of the items
    axes: torch.Tensor | None = None  # that made these narrower
    novelty: float | None = None  # nats that these gain, as calibrated; None: of an earlier version, which did not
    weights: tuple[float, ...] | None = None  # of the parts of its score, as picked on dev; None: not picked

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def bf16(self) -> bool:
        return choose_bf16(self.config.precision, self.device)

    @property
    def parts(self) -> tuple[str, ...]:
        """The scores that it has of an answer to what it was taught: of its ID, and of its nearness to the history."""
        return ("ids", "dense") if self.reader is not None and self.config.dense > 0 else ("ids",)

    @property
    def modules(self) -> nn.ModuleDict:
        """All that learns, as the trainer and the weights' file call it."""
        modules: dict[str, nn.Module] = {"indexer": self.model}
        return nn.ModuleDict(modules | ({"history": self.reader} if self.reader is not None else {}))

    def documents(self, folder: Path | None = None) -> Memories | VectorMemories:
        """Memories of all documents' texts, or of the vectors that users brought where a task reads these."""
        if self.given and self.items is not None:
            return VectorMemories(self.model.backbone, self.items.vectors, None)
        backbone = self.model.backbone
        tokens, _ = read_documents(self.corpus, backbone, self.document_tokens, self.long)
        return Memories(backbone, tokens, self.bf16, folder)
