"""How a dual encoder is taught: what is near a query must be its document, and not those of others or of BM25."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.config import FinetuneConfig
from lmindexer.devices import choose_device
from lmindexer.indexers.store import load_documents
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dual_encoder.encoder import features, load_encoder, save_encoder, set_dropout
from lmindexer.methods.dual_encoder.negatives import batches_apart, hard_negatives, relevant_rows
from lmindexer.methods.dual_encoder.retriever import ENCODER, DualEncoderRetriever
from lmindexer.methods.teachable import Lesson, OneStage
from lmindexer.progress import Progress
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.training import adamw_groups


class TeachableDualEncoder(OneStage):
    """The `Teachable` of sentence-transformers' models. Grades of relevant documents make no difference to it."""

    def __init__(self, run: Run, config: FinetuneConfig) -> None:
        self.config, self.corpus = config, load_documents(run)
        self.words = Bm25Retriever(self.corpus) if config.hard_negatives else None
        self.device = choose_device(config.device)
        self.model = load_encoder(config.backbone, config.max_tokens, self.device, self.bf16)
        set_dropout(self.model, config.dropout)

    @property
    def modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"encoder": self.model})

    def lesson(self, task: Task, folder: Path, progress: Progress) -> Lesson:
        """As `Teachable.lesson`: the document of each pair beside its hard negatives and those of its batch."""
        assert isinstance(task, SearchTask)
        texts, right, config = task.texts, relevant_rows(task), self.config
        negatives = np.empty((len(texts), 0), np.int64)
        if self.words is not None:
            progress.say(f"looking for {config.hard_negatives} hard negatives a query by BM25")
            negatives = hard_negatives(self.words, texts, right, config.hard_negatives, config.seed)
        read = [[target, *negatives[q]] for q, target in zip(task.source.tolist(), task.target.tolist(), strict=True)]
        loss = ranking_loss(self.model, config.temperature, config.texts_at_once)

        def losses(pairs: np.ndarray) -> dict[str, Tensor]:
            columns = [self.corpus.texts([read[pair][n] for pair in pairs]) for n in range(1 + negatives.shape[1])]
            queries = [texts[q] for q in task.source[pairs]]
            inputs = [features(self.model, queries, "query")]
            return {"loss": loss([*inputs, *(features(self.model, list(column), "document") for column in columns)])}

        def batches(pairs: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
            return batches_apart(rng.permutation(pairs), task.source, read, right, config.batch_size)

        lengths = np.array([len(texts[q]) for q in task.source])
        return Lesson(lengths, None, lambda rng: np.arange(len(task.target)), losses, batches)

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """As `Teachable.parameter_groups`."""
        return adamw_groups(((p, rate) for p in self.model.parameters()), self.config.weight_decay)

    def retriever(self, **how: Any) -> DualEncoderRetriever:
        """As `Teachable.retriever`."""
        return DualEncoderRetriever(self.model, self.corpus)

    def save(self, run: Run, later: np.ndarray) -> None:
        """As `Teachable.save`."""
        save_encoder(self.model, run.path / ENCODER)


begin = TeachableDualEncoder  # of `Method.begin`


def ranking_loss(model: Any, temperature: float, at_once: int) -> Callable[[list[dict[str, Any]]], Tensor]:
    """-log of the softmax, over all documents of a batch, of cosine / temperature at each query's own document.

    It is given queries, their documents and, column by column, their negatives. With `at_once`, so many texts are read
    at a time, twice (GradCache, Gao et al. 2021): then only so many must fit into the memory.
    """
    from sentence_transformers.sentence_transformer import losses

    how: dict[str, Any] = {"scale": 1 / temperature, "similarity_fct": _cosines}
    loss: nn.Module = losses.MultipleNegativesRankingLoss(model, **how)
    if at_once:
        loss = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=at_once, **how)
    return partial(loss, labels=None)


def _cosines(queries: Tensor, documents: Tensor) -> Tensor:
    """(b, n), in single precision: bfloat16 could not tell near ones apart."""
    with torch.autocast(queries.device.type, enabled=False):
        return F.normalize(queries.float(), dim=1) @ F.normalize(documents.float(), dim=1).T
