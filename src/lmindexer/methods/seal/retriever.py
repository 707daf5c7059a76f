"""Ask a model that writes n-grams: those that it generates find the documents that hold them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from lmindexer.checkpoints import are_finite
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16, device_to_load
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.store import load_documents
from lmindexer.learn.memories import Memories
from lmindexer.methods.retriever import Hit, Retriever, best_hits
from lmindexer.methods.seal.generation import Ngrams, generate
from lmindexer.methods.seal.index import NgramIndex
from lmindexer.methods.seal.scoring import document_scores
from lmindexer.methods.seal.writer import NgramWriter
from lmindexer.methods.taught import open_taught, reading_weights
from lmindexer.model.backbone import load_backbone
from lmindexer.questions.questions import TEXT
from lmindexer.questions.sequences import Sequences

WEIGHTS, BACKBONE = "seal.safetensors", "seal_backbone"
BATCH = 16  # queries read and searched together


class SealRetriever(Retriever):
    """Documents by the n-grams that are generated for a query; one that holds none of them is no hit.

    The n-grams are of all documents, however they are restricted. So are their frequencies.
    """

    reads = (TEXT,)

    def __init__(
        self,
        writer: NgramWriter,
        index: NgramIndex,
        corpus: Corpus,
        config: FinetuneConfig,
        beams: int | None = None,
        scoring: str | None = None,
    ) -> None:
        """`beams` and `scoring` as the model was taught with, unless given. Raises InputError for no such scoring."""
        config = config if beams is None else replace(config, beams=beams)
        self.config = config if scoring is None else replace(config, scoring=scoring)
        self.writer, self.index, self.doc_ids = writer.eval(), index, corpus.doc_ids
        self.settings = {"beams": self.config.beams, "scoring": self.config.scoring}
        self._ranks = tie_ranks(corpus.doc_ids)
        self._bf16 = choose_bf16(config.precision, writer.start.device)

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        left_out = np.ones(len(self.doc_ids), bool)
        left_out[slice(None) if rows is None else rows] = False
        hits = []
        for ngrams in self.ngrams(questions):
            scores = document_scores(self.index, ngrams, self.config.scoring)
            scores[left_out] = -np.inf
            hits.append(best_hits(scores, self.doc_ids, k, self._ranks))
        return hits

    def ngrams(self, texts: list[str]) -> list[Ngrams]:
        """The n-grams that are generated for each text."""
        config, backbone = self.config, self.writer.backbone
        memories = Memories(backbone, Tokens.of(backbone.tokenize(texts, config.max_tokens)), self._bf16)
        found: dict[int, Ngrams] = {}
        for some in memories.batches(BATCH):
            with torch.no_grad():
                memory = memories.memory(some)
            generated = generate(self.writer, self.index, memory, config.ngram_tokens, config.beams, config.unigrams)
            found |= zip(some.tolist(), generated, strict=True)
        return [found[n] for n in range(len(texts))]


def make_writer(config: FinetuneConfig, backbone: str) -> NgramWriter:
    """A model that has not been taught, from this backbone."""
    loaded = load_backbone(backbone, config.decoder_layers, config.dropout, encoder=config.encoder)
    loaded.set_dropout(config.dropout)
    return NgramWriter(loaded, config.ngram_tokens)


def open_run(
    run: Path, kind: str, sequences: Sequences | None, *, beams: int | None = None, scoring: str | None = None
) -> SealRetriever:
    """As `Method.open`, of a run that was taught it. The index is made of the run's documents as they are now."""
    folder, config = open_taught(run)
    weights, kept = folder.file(WEIGHTS), folder.folder(BACKBONE)
    writer = make_writer(config, config.backbone if kept is None else str(kept))
    with reading_weights(weights):
        tensors = load_file(weights)
        loaded = writer.load_state_dict(tensors, strict=False)
        if loaded.unexpected_keys or not are_finite(tensors.values()):
            raise ValueError(f"{(loaded.unexpected_keys or ['a weight'])[0]} is odd")
        if set(loaded.missing_keys) - writer.backbone.pretrained_names("backbone."):
            raise ValueError("a weight is missing")
    corpus = load_documents(folder)
    writer.to(device_to_load(config.device))
    return SealRetriever(writer, NgramIndex.of(corpus, writer.backbone), corpus, config, beams, scoring)
