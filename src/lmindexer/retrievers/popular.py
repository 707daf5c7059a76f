"""What most users took, recommended to everyone: the floor that a recommender must leave below."""

from collections.abc import Iterable, Sequence

import numpy as np

from lmindexer.ids.ties import tie_ranks
from lmindexer.retrievers.hits import Hit, best_hits, check_histories, check_question, rows_of


class PopularRecommender:
    """Whatever the history, the documents with the highest `counts` (N,). Scores are the counts."""

    def __init__(self, doc_ids: Sequence[str], counts: np.ndarray) -> None:
        """`counts`: how often each document is in the training part of a sequence."""
        if counts.shape != (len(doc_ids),):
            raise ValueError(f"counts are {counts.shape}, but {len(doc_ids)} documents need {(len(doc_ids),)}")
        self.doc_ids, self.counts, self._ranks = doc_ids, counts, tie_ranks(doc_ids)

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """The same k documents for each history. As `Recommender.recommend`, but a history may be anything."""
        check_question((), k)
        check_histories(histories)
        rows = np.arange(len(self.doc_ids)) if only is None else rows_of(only, self.doc_ids)
        hits = best_hits(
            self.counts[rows].astype(float), [self.doc_ids[int(row)] for row in rows], k, self._ranks[rows]
        )
        return [list(hits) for _ in histories]
