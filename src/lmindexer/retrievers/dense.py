"""The plain dense way: one vector a text by a pretrained encoder, exact search by cosine."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.devices import choose_device
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.embeddings import read_with
from lmindexer.indexers.kept_vectors import vectors_of
from lmindexer.model.backbone import load_backbone
from lmindexer.model.history import DECAY
from lmindexer.retrievers.hits import Hit, best_hits, check_question, history_rows, rows_of

BATCH = 256  # queries scored together
DECIMALS = 5  # of a cosine


class DenseRetriever:
    """`encoder` is 'bundled', a hub name or a folder. Raises InputError where it cannot be loaded.

    Documents longer than `max_tokens` are cut, or read in pieces of so many where `long` is "pool". With a file to
    `keep` them in, vectors of documents are made once; it belongs to this encoder, `max_tokens` and `long`.
    """

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
        self._documents = F.normalize(vectors.to(next(self._encoder.parameters()).device).float(), dim=1)  # (N, D)

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`; scores are cosines."""
        check_question(texts, k)
        doc_ids, ranks, documents = self._allowed(self._documents, only)
        hits: list[list[Hit]] = []
        for at in range(0, len(texts), BATCH):
            part = [Document(str(n), text) for n, text in enumerate(texts[at : at + BATCH])]
            asked = F.normalize(self._read(Corpus.from_documents(part)).float(), dim=1)
            scores = asked @ documents.T  # (b, n)
            hits += [best_hits(each, doc_ids, k, ranks) for each in _rounded(scores)]
        return hits

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """The documents nearest to what a user took last: each item weighs .7 of the one after it. No training.

        Of the vectors their mean is taken off first: what all titles share tells nothing (docs/log.md). As
        `Recommender.recommend`.
        """
        check_question((), k)
        documents, taken = self._centred, history_rows(histories, self._row_of)
        doc_ids, ranks, answers = self._allowed(documents, only)
        hits: list[list[Hit]] = []
        for at in range(0, len(taken), BATCH):
            part = taken[at : at + BATCH]
            asked = torch.zeros(len(part), documents.shape[1], device=documents.device)
            for n, rows in enumerate(part):
                weight = DECAY ** torch.arange(len(rows), dtype=torch.float32)
                asked[n] = weight.to(asked.device) @ documents[rows[::-1]]
            scores = F.normalize(asked, dim=1) @ answers.T
            hits += [best_hits(each, doc_ids, k, ranks) for each in _rounded(scores)]
        return hits

    @cached_property
    def _centred(self) -> torch.Tensor:
        """The vectors (N, D) without their mean."""
        return F.normalize(self._documents - self._documents.mean(0), dim=1)

    def _allowed(
        self, vectors: torch.Tensor, only: Iterable[str] | None
    ) -> tuple[Sequence[str], np.ndarray, torch.Tensor]:
        """Ids, ranks of equal scores, and vectors of the documents that may be found."""
        if only is None:
            return self.doc_ids, self._ranks, vectors
        rows = rows_of(only, self.doc_ids)
        return [self.doc_ids[row] for row in rows.tolist()], self._ranks[rows], vectors[torch.from_numpy(rows)]

    def _read(self, corpus: Corpus, long: str = "cut") -> torch.Tensor:
        """(N, D)"""
        return read_with(self._encoder, corpus, self.max_tokens, "auto", long)[0].embeddings()


def _rounded(cosines: torch.Tensor) -> np.ndarray:
    """To what vectors in half precision can tell apart: equal texts are equally near, wherever they stand."""
    return cosines.float().cpu().numpy().round(DECIMALS)
