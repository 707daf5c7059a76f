"""How a generative model is taught a task: what it reads, what is minimised (Eq. 14), and how it is asked meanwhile."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.tokens import Tokens
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.store import has_ids
from lmindexer.learn.memories import IN_MEMORY_BYTES, Memories
from lmindexer.learn.reading import read_documents
from lmindexer.methods.generative.eq14 import freeze_encoder, id_codes, id_loss, parameter_groups
from lmindexer.methods.generative.finetuned import FinetunedRetriever, written_out
from lmindexer.methods.generative.folder import begin_model, save
from lmindexer.methods.generative.histories import HistoryMemories
from lmindexer.methods.generative.retriever import Asked
from lmindexer.methods.generative.sequences import WholeSequences
from lmindexer.methods.generative.warm_up import warm_up
from lmindexer.methods.teachable import Lesson, TeachingState
from lmindexer.progress import Progress
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.training import Trainer

TOKENS = 8192  # of texts in a step at most, so that long ones do not fill the memory


class TeachableGenerator:
    """The `Teachable` that learns to give IDs: the model of LMIndexer, or another indexer's encoder and a decoder."""

    later_documents = True

    def __init__(self, run: Run, config: FinetuneConfig) -> None:
        if not has_ids(run):
            raise InputError(
                f"{run.path} has no IDs to teach (--indexer none); learn it with another --indexer, or teach it a "
                "--method that needs none, such as sasrec"
            )
        self.config, self.model, self._indexed_by = config, begin_model(run, config), run.config
        self.learns_encoder = freeze_encoder(self.model)
        self.frozen = self.model.model.backbone.frozen_names("indexer.backbone.")

    @property
    def corpus(self) -> Corpus:
        return self.model.corpus

    @property
    def modules(self) -> nn.ModuleDict:
        return self.model.modules

    @property
    def bf16(self) -> bool:
        return self.model.bf16

    def unseen(self, task: Task) -> list[str]:
        """As `Teachable.unseen`: of queries."""
        if not isinstance(task, SearchTask):
            return []
        texts = [text for queries in task.queries.values() for text in queries.texts]
        queries = Corpus.from_documents((Document(str(n), text) for n, text in enumerate(texts)), keep_empty=True)
        _, unseen = read_documents(queries, self.model.model.backbone, self.config.max_tokens)
        return unseen.notes_on_queries(self._indexed_by)

    def prepare(self, trainer: Trainer[TeachingState], run: Run, progress: Progress, later: np.ndarray) -> None:
        """As `Teachable.prepare`: document -> its ID."""
        if self.model.items is not None:
            self.model.items.known[torch.from_numpy(later).to(self.model.device)] = False
        warm_up(self.model, trainer, run, progress, later)
        freeze_encoder(self.model)

    def include(self) -> None:
        """As `Teachable.include`."""
        if self.model.items is not None:
            self.model.items.known.fill_(True)

    def lesson(self, task: Task, folder: Path, progress: Progress) -> Lesson:
        """As `Teachable.lesson`: the ID of each pair's document, by Eq. 14."""
        asked, codes = self.read(task, folder), id_codes(self.model)
        if isinstance(asked, HistoryMemories):
            assert isinstance(task, RecommendTask)
            return WholeSequences(self.model, asked, task, codes).lesson()
        if isinstance(asked, Memories) and not self.learns_encoder and asked.nbytes < IN_MEMORY_BYTES:
            asked.fill(progress)
        weight = torch.from_numpy(task.weight).to(codes.device)

        def losses(pairs: np.ndarray) -> dict[str, Tensor]:
            answer = codes[torch.from_numpy(task.target[pairs]).to(codes.device)]
            return {"loss": id_loss(self.model, asked, task.source[pairs], answer, weight[pairs])}

        return Lesson(
            lengths=asked.lengths[task.source],
            tokens=TOKENS if isinstance(asked, Memories) else None,
            epoch=lambda rng: pairs_of_an_epoch(task, self.config.document_share, rng),
            losses=losses,
        )

    def read(self, task: Task, folder: Path) -> Asked:
        """What the decoder reads of all questions of the task."""
        if isinstance(task, SearchTask):
            return self._read_texts(task.texts, folder)
        assert isinstance(task, RecommendTask)
        train = task.train
        if self.model.reader is not None and self.model.items is not None:
            rows = train.sequences.rows
            return HistoryMemories(self.model.reader, self.model.items, rows, train.start, train.end)
        newest = (train.history(e)[::-1][: self.config.max_items].tolist() for e in range(len(train)))
        return self._read_texts([written_out(self.corpus.texts(rows)) for rows in newest], folder)

    def _read_texts(self, texts: Sequence[str], folder: Path) -> Memories:
        backbone = self.model.model.backbone
        tokens = Tokens.of(backbone.tokenize(texts, self.config.max_tokens))
        return Memories(backbone, tokens, self.bf16, folder)

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """As `Teachable.parameter_groups`."""
        return parameter_groups(self.model, self.modules, rate)

    def retriever(self, **how: Any) -> FinetunedRetriever:
        """As `Teachable.retriever`."""
        return FinetunedRetriever(self.model, **how)

    def retriever_with_later(self, rows: np.ndarray, novelty: float) -> FinetunedRetriever:
        """As `Teachable.retriever_with_later`."""
        later = replace(self.model, ids=as_added(self.model.ids, rows), new=tuple(rows.tolist()))
        return FinetunedRetriever(later, novelty=novelty, score="ids")

    def save(self, run: Run, later: np.ndarray) -> None:
        """As `Teachable.save`."""
        freeze_encoder(self.model)
        save(run, replace(self.model, new=tuple(later.tolist())))


begin = TeachableGenerator  # of `Method.begin`


def pairs_of_an_epoch(task: Task, share: float, rng: np.random.Generator) -> np.ndarray:
    """The pairs of questions, all, and those of documents and themselves, a share."""
    asked = len(task.target) - task.documents
    documents = rng.permutation(task.documents)[: round(min(share, 1) * task.documents)] + asked
    return np.concatenate([np.arange(asked), documents])


def as_added(ids: IdTable, rows: np.ndarray) -> IdTable:
    """The IDs that these documents would have, had they come later; in the same order."""
    doc_ids = [ids.doc_ids[row] for row in rows.tolist()]
    table = ids.remove(doc_ids).add(doc_ids, ids.codes[rows])
    return table.select([table.row_of[doc_id] for doc_id in ids.doc_ids])
