"""How a model learns to write n-grams: query -> one of a document that answers it, span -> one of its document."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.checkpoints import save_weights
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_device
from lmindexer.files import write_folder
from lmindexer.indexers.store import load_documents
from lmindexer.learn.memories import IN_MEMORY_BYTES, Memories
from lmindexer.methods.generative.teachable import TOKENS, pairs_of_an_epoch
from lmindexer.methods.seal.index import NgramIndex
from lmindexer.methods.seal.retriever import BACKBONE, WEIGHTS, SealRetriever, make_writer
from lmindexer.methods.seal.samples import SPANS, sample_spans, sample_starts, starts_in_documents
from lmindexer.methods.teachable import Lesson, OneStage
from lmindexer.progress import Progress
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.training import adamw_groups


class TeachableSeal(OneStage):
    """The `Teachable` of n-grams: they are those of the run's documents, whatever IDs these have."""

    def __init__(self, run: Run, config: FinetuneConfig) -> None:
        self.config, self.corpus = config, load_documents(run)
        torch.manual_seed(config.seed)
        self.writer = make_writer(config, config.backbone)
        self.index = NgramIndex.of(self.corpus, self.writer.backbone)
        self.writer.start_from_frequencies(self.index)
        self.device = choose_device(config.device)
        self.writer.to(self.device)
        self.writer.backbone.freeze(config.encoder, config.top_layers)
        self.frozen = self.writer.backbone.frozen_names("writer.backbone.")

    @property
    def modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"writer": self.writer})

    def lesson(self, task: Task, folder: Path, progress: Progress) -> Lesson:
        """As `Teachable.lesson`: of a pair one of its n-grams, another one each time."""
        assert isinstance(task, SearchTask)
        texts, asks, starts = self._examples(task)
        backbone, length = self.writer.backbone, self.config.ngram_tokens
        read = Memories(backbone, Tokens.of(backbone.tokenize(texts, self.config.max_tokens)), self.bf16, folder)
        if read.nbytes < IN_MEMORY_BYTES:
            read.fill(progress)
        token_ids = torch.from_numpy(self.index.token_ids).to(self.device)
        weight = torch.from_numpy(task.weight).to(self.device)

        def losses(pairs: np.ndarray) -> dict[str, Tensor]:
            choice = torch.randint(starts.shape[1], (len(pairs),)).numpy()
            ngrams = torch.from_numpy(self.index.spans(starts[pairs, choice], length)).long().to(self.device)
            memory = read.memory(asks[pairs, choice])
            return {"loss": self.writer.loss(memory, ngrams, weight[pairs], token_ids)}

        return Lesson(
            lengths=read.lengths[asks[:, 0]],
            tokens=TOKENS,
            epoch=lambda rng: pairs_of_an_epoch(task, self.config.document_share, rng),
            losses=losses,
        )

    def _examples(self, task: SearchTask) -> tuple[list[str], np.ndarray, np.ndarray]:
        """The texts that are read, and of each pair (E, S) which of them and where in the index the n-gram begins.

        Pairs of a document and itself have the spans of the document, in as many columns as the queries have n-grams.
        """
        config, index, rng = self.config, self.index, np.random.default_rng([self.config.seed, 2])
        pairs = len(task.target) - task.documents
        texts = task.texts[: len(task.texts) - task.documents]
        numbers = [index.numbers(ids) for ids in self.writer.backbone.texts.whole(texts)]
        asks = np.repeat(task.source[:, None], config.ngrams, 1)
        starts = np.empty_like(asks)
        queries = [numbers[source] for source in task.source[:pairs].tolist()]
        starts[:pairs] = sample_starts(
            index, queries, task.target[:pairs], config.ngram_tokens, config.ngrams, config.ngram_temperature, rng
        )
        if task.documents:
            columns = np.arange(config.ngrams) % SPANS
            starts[pairs:] = starts_in_documents(index, config.ngram_tokens, rng)[:, columns]
            asks[pairs:] = len(texts) + np.arange(task.documents)[:, None] * SPANS + columns
            texts = [*texts, *sample_spans(self.corpus.texts(), config.ngram_tokens, rng)]
        return texts, asks, starts

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """As `Teachable.parameter_groups`: the pretrained backbone learns at a rate of its own."""
        rates = dict.fromkeys(self.writer.backbone.pretrained(), self.config.encoder_learning_rate)
        learning = [p for p in self.writer.parameters() if p.requires_grad]
        return adamw_groups(((p, rates.get(p, rate)) for p in learning), self.config.weight_decay)

    def retriever(self, **how: Any) -> SealRetriever:
        """As `Teachable.retriever`."""
        return SealRetriever(self.writer, self.index, self.corpus, self.config, **how)

    def save(self, run: Run, later: np.ndarray) -> None:
        """As `Teachable.save`."""
        pretrained = self.writer.backbone.pretrained_names("backbone.")
        save_weights(run.path / WEIGHTS, self.writer.state_dict(), pretrained)
        if self.writer.backbone.learns:
            write_folder(run.path / BACKBONE, self.writer.backbone.save)


begin = TeachableSeal  # of `Method.begin`
