"""Search by the codes of an embed-then-quantise run without any learning: what generation is to LMIndexer."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.clusters import unit
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.indexers.rq_vae import RqVae
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.questions.questions import TEXT


class ByCodes(Retriever):
    """A document is the sum of its codes' vectors; a text asks for those nearest to it, all of one path alike.

    The distances are of the space that was quantised, as of product quantisation's asymmetric distances (Jégou et al.
    2011). Documents that share all learned codes share a score.
    """

    reads: tuple[str, ...] = (TEXT,)
    name = "codes"

    def __init__(self, run: Path) -> None:
        self.indexer = TwoStepIndexer.load(run)
        assert self.indexer.ids is not None
        self.doc_ids, self.settings = self.indexer.ids.doc_ids, {}
        self._rank = tie_ranks(self.doc_ids)
        codes = torch.from_numpy(self.indexer.ids.paths).long()
        books = [book.cpu() for book in self._quantiser.books]
        self._documents = torch.stack([book[codes[:, t]] for t, book in enumerate(books)]).sum(0)  # (N, width)

    @property
    def _quantiser(self) -> RqVae | ResidualKMeans:
        assert isinstance(self.indexer.quantiser, RqVae | ResidualKMeans)
        return self.indexer.quantiser

    @torch.no_grad()
    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        asked = Corpus.from_documents(Document(str(n), text, ()) for n, text in enumerate(questions))
        points = self._points(self.indexer.vectors(asked)).cpu()
        scores = -torch.cdist(points, self._documents).numpy()  # (Q, N)
        return [self._best(score, k, np.arange(len(score)) if rows is None else rows) for score in scores]

    def _points(self, vectors: Tensor) -> Tensor:
        """Vectors (n, D) in the space that is quantised."""
        quantiser, points = self._quantiser, unit(vectors)
        if isinstance(quantiser, RqVae):
            points = quantiser.encoder.to(points.device)((points - quantiser.mean) / quantiser.spread)
        return points

    def _best(self, score: np.ndarray, k: int, rows: np.ndarray) -> list[Hit]:
        order = rows[np.lexsort((self._rank[rows], -score[rows].round(6)))][:k]  # one path, one score
        return [Hit(self.doc_ids[row], float(score[row])) for row in order]
