"""What most users took, recommended to everyone: the floor that a recommender must leave below."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.store import load_documents
from lmindexer.methods.retriever import Hit, Retriever, best_hits
from lmindexer.questions.questions import HISTORY
from lmindexer.questions.sequence_files import SEQUENCES, load_taught
from lmindexer.questions.sequences import Sequences, training_counts
from lmindexer.runs import Run


def open_run(run: Path, kind: str, sequences: Sequences | None) -> "PopularRetriever":
    """As `Method.open`: counted in `sequences`, or else in those that the run was taught."""
    folder = Run.open(run)
    doc_ids = load_documents(folder).doc_ids
    if sequences is None:
        if not folder.has(SEQUENCES):
            raise InputError(
                f"popular counts what users took, and {run} was taught no histories; ask a run that was, or name "
                "--sequences of lmindexer evaluate"
            )
        sequences = load_taught(folder.file(SEQUENCES), doc_ids)
    return PopularRetriever(doc_ids, training_counts(sequences, len(doc_ids)))


class PopularRetriever(Retriever):
    """Whatever the history, which may be anything, the documents with the highest `counts` (N,). Scores are these."""

    reads = (HISTORY,)

    def __init__(self, doc_ids: Sequence[str], counts: np.ndarray) -> None:
        """`counts`: how often each document is in the training part of a sequence."""
        if counts.shape != (len(doc_ids),):
            raise ValueError(f"counts are {counts.shape}, but {len(doc_ids)} documents need {(len(doc_ids),)}")
        self.doc_ids, self.counts, self._ranks = doc_ids, counts, tie_ranks(doc_ids)
        self.settings: dict[str, Any] = {}

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        rows = np.arange(len(self.doc_ids)) if rows is None else rows
        doc_ids = [self.doc_ids[row] for row in rows.tolist()]
        hits = best_hits(self.counts[rows].astype(float), doc_ids, k, self._ranks[rows])
        return [list(hits) for _ in questions]
