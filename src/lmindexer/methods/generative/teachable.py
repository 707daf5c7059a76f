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
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dense import DenseRetriever, kept_as
from lmindexer.methods.dual_encoder.negatives import hard_negatives, relevant_rows
from lmindexer.methods.generative.dense_side import DenseSide
from lmindexer.methods.generative.eq14 import freeze_encoder, id_codes, id_loss, parameter_groups, soft_id_loss
from lmindexer.methods.generative.finetuned import FinetunedRetriever, written_out
from lmindexer.methods.generative.folder import begin_model, save
from lmindexer.methods.generative.histories import HistoryMemories
from lmindexer.methods.generative.retriever import Asked
from lmindexer.methods.generative.sequences import WholeSequences
from lmindexer.methods.generative.soft_targets import SoftTargets
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
        self._later = np.empty(0, np.int64)
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
        self._later = later
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
        queries = len(task.target) - task.documents  # pairs of queries; behind them documents and themselves
        soft = self._soft_targets(task, folder, progress) if self.config.soft_targets else None
        dense = self._dense_side(task, progress) if self.config.dense_loss else None

        def losses(pairs: np.ndarray) -> dict[str, Tensor]:
            memory = asked.memory(task.source[pairs])
            if soft is None:
                answer = codes[torch.from_numpy(task.target[pairs]).to(codes.device)]
                found = {"loss": id_loss(self.model, memory, answer, weight[pairs])}
            else:
                rows, share = (torch.from_numpy(x).to(codes.device) for x in self._answers(task, pairs, soft))
                found = {"loss": soft_id_loss(self.model, memory, codes[rows], share, weight[pairs])}
            asks = np.flatnonzero(pairs < queries)
            if dense is not None and len(asks):
                some = memory.rows(torch.from_numpy(asks).to(codes.device))
                found["dense"] = dense.loss(some, task.source[pairs[asks]], task.target[pairs[asks]])
                found["loss"] = found["loss"] + self.config.dense_loss * found["dense"]
            return found

        return Lesson(
            lengths=asked.lengths[task.source],
            tokens=TOKENS if isinstance(asked, Memories) else None,
            epoch=lambda rng: pairs_of_an_epoch(task, self.config.document_share, rng),
            losses=losses,
        )

    def _soft_targets(self, task: Task, folder: Path, progress: Progress) -> SoftTargets:
        assert isinstance(task, SearchTask)
        pairs, read = len(task.target) - task.documents, self._indexed_by
        source, target = task.source[:pairs], task.target[:pairs]
        dense = DenseRetriever(self.corpus, "bundled", read.max_tokens, folder / kept_as("bundled"), read.long)
        texts = task.texts[: int(source.max(initial=-1)) + 1]
        soft = SoftTargets.of(texts, source, target, dense, Bm25Retriever(self.corpus), progress)
        return soft.without(self._later)

    def _answers(self, task: Task, pairs: np.ndarray, soft: SoftTargets) -> tuple[np.ndarray, np.ndarray]:
        """Rows and shares (B, 1 + M) of the documents that answer: the right one first, then those of `soft`.

        A document is its own answer alone, and so is one that is kept out.
        """
        share, source = self.config.soft_targets, task.source[pairs]
        asks = source < len(soft.rows)
        rows = np.zeros((len(pairs), 1 + soft.rows.shape[1]), np.int64)
        shares = np.zeros(rows.shape, np.float32)
        rows[:, 0], shares[:, 0] = task.target[pairs], np.where(asks, 1 - share, 1)
        rows[asks, 1:], shares[asks, 1:] = soft.rows[source[asks]], share * soft.share[source[asks]]
        return rows, shares

    def _dense_side(self, task: Task, progress: Progress) -> DenseSide:
        assert isinstance(task, SearchTask)
        pairs, config = len(task.target) - task.documents, self.config
        texts = task.texts[: int(task.source[:pairs].max(initial=-1)) + 1]
        relevant, later = relevant_rows(task)[: len(texts)], set(self._later.tolist())
        negatives = np.empty((len(texts), 0), np.int64)
        if config.hard_negatives:
            progress.say(f"looking for {config.hard_negatives} hard negatives a query by BM25")
            none = [rows | later for rows in relevant]  # nor is anything learned of those kept out
            negatives = hard_negatives(Bm25Retriever(self.corpus), texts, none, config.hard_negatives, config.seed)
        return DenseSide(self.model, relevant, negatives, config.temperature)

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
