"""Several retrievers as one: reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""

from collections.abc import Iterable, Sequence

from lmindexer.retrievers.hits import Hit, Retriever

RANK_CONSTANT = 60  # as published
DEEPER = 5  # every retriever is asked for so many times k, or for LEAST
LEAST = 100


class HybridRetriever:
    """A document scores weight / (60 + rank) in each list it is in; `weights` are equal by default."""

    def __init__(self, retrievers: Sequence[Retriever], weights: Sequence[float] | None = None) -> None:
        self.retrievers = retrievers
        self.weights = [1.0] * len(retrievers) if weights is None else list(weights)
        if len(self.weights) != len(retrievers):
            raise ValueError(f"{len(self.weights)} weights for {len(retrievers)} retrievers; give one each")

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`; ties come in the order of the first retriever's list."""
        named = None if only is None else list(only)
        depth = max(DEEPER * k, LEAST) if k > 0 else k
        lists = [retriever.search(texts, depth, only=named) for retriever in self.retrievers]
        fused = []
        for each in zip(*lists, strict=True):
            scores: dict[str, float] = {}
            for weight, hits in zip(self.weights, each, strict=True):
                for rank, hit in enumerate(hits, 1):
                    scores[hit.doc_id] = scores.get(hit.doc_id, 0.0) + weight / (RANK_CONSTANT + rank)
            best = sorted(scores.items(), key=lambda item: -item[1])[:k]
            fused.append([Hit(doc_id, score) for doc_id, score in best])
        return fused
