"""What most users took, recommended to everyone: the floor that a recommender must leave below."""

from collections.abc import Sequence

import numpy as np

from lmindexer.retrievers.hits import Hit, best_hits, check_question


class PopularRecommender:
    """Whatever the history, the documents with the highest `counts` (N,), ties by row. Scores are the counts."""

    def __init__(self, doc_ids: Sequence[str], counts: np.ndarray) -> None:
        """`counts`: how often each document is in the training part of a sequence."""
        if counts.shape != (len(doc_ids),):
            raise ValueError(f"counts are {counts.shape}, but {len(doc_ids)} documents need {(len(doc_ids),)}")
        self.doc_ids, self.counts = doc_ids, counts

    def recommend(self, histories: Sequence[Sequence[str]], k: int = 10) -> list[list[Hit]]:
        """The same k documents for each history. Raises InputError for a k below 1."""
        check_question((), k)
        hits = best_hits(self.counts.astype(float), self.doc_ids, k)
        return [list(hits) for _ in histories]
