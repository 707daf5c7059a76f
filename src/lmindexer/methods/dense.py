"""The plain dense way: one vector a text by a pretrained encoder, exact search by cosine."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.devices import choose_device
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.embeddings import read_with
from lmindexer.indexers.kept_vectors import vectors_of
from lmindexer.indexers.store import load_documents
from lmindexer.methods.generative.history import DECAY
from lmindexer.methods.nearest import BATCH, Nearest
from lmindexer.methods.retriever import Hit, Retriever, history_rows
from lmindexer.model.backbone import load_backbone
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run

KEPT = "dense.parquet"  # of a run: vectors of its documents by the bundled encoder


def open_run(run: Path, kind: str, sequences: Sequences | None, *, backbone: str = "bundled") -> "DenseRetriever":
    """As `Method.open`: by an encoder as it is; vectors of documents are kept in the run."""
    folder = Run.open(run)
    config, keep = folder.config, run / kept_as(backbone)
    return DenseRetriever(load_documents(folder), backbone, config.max_tokens, keep, config.long)


def kept_as(encoder: str) -> str:
    """The name of the file with vectors by an encoder: another one of a folder whose files have changed."""
    if encoder == "bundled":
        return KEPT
    files = sorted(Path(encoder).rglob("*")) if Path(encoder).is_dir() else []
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    state = "\n".join([encoder, *(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)])
    return f"dense-{hashlib.blake2b(state.encode(), digest_size=8).hexdigest()}.parquet"


class DenseRetriever(Retriever):
    """`encoder` is 'bundled', a hub name or a folder. Raises InputError where it cannot be loaded.

    Documents longer than `max_tokens` are cut, or read in pieces of so many where `long` is "pool". With a file to
    `keep` them in, vectors of documents are made once; it belongs to this encoder, `max_tokens` and `long`.

    Scores are cosines. A history is its documents' vectors, each weighing .7 of the one after it, without training.
    Of the vectors their mean is taken off first there: what all titles share tells nothing (docs/log.md).
    """

    reads = (TEXT, HISTORY)

    def __init__(
        self,
        corpus: Corpus,
        encoder: str = "bundled",
        max_tokens: int = 128,
        keep: Path | None = None,
        long: str = "cut",
    ) -> None:
        self.doc_ids, self.max_tokens, self._row_of = corpus.doc_ids, max_tokens, corpus.row_of
        self.settings = {"encoder": encoder, "max_tokens": max_tokens} | ({"long": long} if long != "cut" else {})
        self._ranks = tie_ranks(self.doc_ids)
        self._encoder = load_backbone(encoder).to(choose_device("auto")).eval()
        if keep is None:
            vectors = self._read(corpus, long)
        else:

            def read(rows: list[int]) -> torch.Tensor:
                return self._read(Corpus.from_documents((corpus[row] for row in rows), keep_empty=True), long)

            vectors = vectors_of(corpus, keep, self._encoder.dim, read, keep=True)
        documents = F.normalize(vectors.to(next(self._encoder.parameters()).device).float(), dim=1)  # (N, D)
        self._nearest = Nearest(documents, self.doc_ids, self._ranks)

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        nearest = self._nearest if kind == TEXT else self._centred
        taken: list[Any] = questions if kind == TEXT else history_rows(questions, self._row_of)
        hits: list[list[Hit]] = []
        for at in range(0, len(taken), BATCH):
            part = taken[at : at + BATCH]
            asked = self._vectors_of_texts(part) if kind == TEXT else _vectors_of_histories(part, nearest.vectors)
            hits += nearest.hits(asked, k, rows)
        return hits

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """The cosines of some texts with all documents: (b, N) float32."""
        return self._nearest.scores(self._vectors_of_texts(texts))

    def _vectors_of_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """(b, D)"""
        part = [Document(str(n), text) for n, text in enumerate(texts)]
        return F.normalize(self._read(Corpus.from_documents(part)).float(), dim=1)

    @cached_property
    def _centred(self) -> Nearest:
        """By the vectors without their mean."""
        vectors = self._nearest.vectors
        return Nearest(F.normalize(vectors - vectors.mean(0), dim=1), self.doc_ids, self._ranks)

    def _read(self, corpus: Corpus, long: str = "cut") -> torch.Tensor:
        """(N, D)"""
        return read_with(self._encoder, corpus, self.max_tokens, "auto", long)[0].embeddings()


def _vectors_of_histories(histories: Sequence[list[int]], documents: torch.Tensor) -> torch.Tensor:
    """Of histories, lists of rows of `documents` (N, D), oldest first: (b, D)."""
    asked = torch.zeros(len(histories), documents.shape[1], device=documents.device)
    for n, rows in enumerate(histories):
        weight = DECAY ** torch.arange(len(rows), dtype=torch.float32)
        asked[n] = weight.to(asked.device) @ documents[rows[::-1]]
    return F.normalize(asked, dim=1)
