"""Documents in a random order, another for each question: the floor of every table."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.store import load_documents
from lmindexer.methods.retriever import Hit, Retriever, best_hits, history_rows
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run


def open_run(run: Path, kind: str, sequences: Sequences | None, *, seed: int = 0) -> "RandomRetriever":
    """As `Method.open`."""
    return RandomRetriever(load_documents(Run.open(run)), seed)


class RandomRetriever(Retriever):
    """The same question has the same order, whoever asks it beside what; `seed` gives other orders.

    Scores are from 0 to 1. A document's does not depend on where it stands in a file.
    """

    reads = (TEXT, HISTORY)

    def __init__(self, corpus: Corpus, seed: int = 0) -> None:
        self.doc_ids, self.settings, self._row_of = corpus.doc_ids, {"seed": seed}, corpus.row_of
        self._ranks = tie_ranks(corpus.doc_ids)

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        if kind == HISTORY:
            history_rows(questions, self._row_of)  # refuses unknown documents as others do
        rows = np.arange(len(self.doc_ids)) if rows is None else rows
        doc_ids, ranks = [self.doc_ids[row] for row in rows.tolist()], self._ranks[rows]
        return [best_hits(self._scores(question)[rows], doc_ids, k, ranks) for question in questions]

    def _scores(self, question: str | Sequence[str]) -> np.ndarray:
        """Of all documents (N,)."""
        text = question if isinstance(question, str) else "\n".join(question)
        digest = hashlib.blake2b(f"{self.settings['seed']}\n{text}".encode(), digest_size=8).digest()
        return np.random.default_rng(int.from_bytes(digest, "little")).random(len(self._ranks))[self._ranks]
