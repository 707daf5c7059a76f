"""Several retrievers as one: their lists fused by rank or by score."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from lmindexer.errors import InputError
from lmindexer.retrievers.hits import Hit, Recommender, Retriever, check_question

Each = TypeVar("Each")

RANK_CONSTANT = 60  # as published
LEAST = 100  # every retriever is asked for so many at least


def by_rank(hits: Sequence[Hit]) -> list[float]:
    """1 / (60 + rank): reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""
    return [1 / (RANK_CONSTANT + rank) for rank in range(1, len(hits) + 1)]


def by_score(hits: Sequence[Hit]) -> list[float]:
    """Scores between the list's lowest, which counts 0, and its highest, 1 (Fox and Shaw 1994); equal ones all 1."""
    scores = [hit.score for hit in hits]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


FUSIONS = {"rank": by_rank, "score": by_score}


def check_fusion(weights: Sequence[float] | None, retrievers: int, fusion: str) -> list[float]:
    """The weights of so many retrievers, equal by default.

    Raises InputError for an unknown fusion and for weights that do not fit.
    """
    weights = [1.0] * retrievers if weights is None else list(weights)
    if len(weights) != retrievers:
        raise InputError(f"{len(weights)} weights for {retrievers} retrievers; give one each")
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights):  # nan is neither
        told = ", ".join(f"{weight:g}" for weight in weights)
        raise InputError(f"the weights {told} are not all 0 or more with one above 0; change them")
    if fusion not in FUSIONS:
        raise InputError(f"{fusion!r} is no fusion; choose one of {', '.join(FUSIONS)}")
    return weights


class _Fused(Generic[Each]):
    """A document scores the weighted sum of what each list gives it, 0 where it is not in the list."""

    def __init__(
        self, retrievers: Sequence[Each], weights: Sequence[float] | None = None, fusion: str = "score"
    ) -> None:
        """`weights` as of `check_fusion`; a retriever of weight 0 is not asked."""
        self.weights = check_fusion(weights, len(retrievers), fusion)
        self.retrievers, self.fusion = retrievers, fusion

    @property
    def settings(self) -> dict[str, Any]:
        """How it searches, and how each of its retrievers does."""
        parts = [{type(each).__name__: getattr(each, "settings", {})} for each in self.retrievers]
        return {"fusion": self.fusion, "weights": self.weights, "retrievers": parts}

    def _ask(self, ask: Callable[[Each, int], list[list[Hit]]], k: int) -> list[list[Hit]]:
        """The best k of what the retrievers find, each asked `ask(retriever, deeper)`."""
        asked = [(r, weight) for r, weight in zip(self.retrievers, self.weights, strict=True) if weight > 0]
        lists = [ask(retriever, max(k, LEAST)) for retriever, _ in asked]
        worth, fused = FUSIONS[self.fusion], []
        for each in zip(*lists, strict=True):
            scores: dict[str, float] = {}
            for (_, weight), hits in zip(asked, each, strict=True):
                for hit, value in zip(hits, worth(hits), strict=True):
                    scores[hit.doc_id] = scores.get(hit.doc_id, 0.0) + weight * value
            best = sorted(scores.items(), key=lambda item: -item[1])[:k]
            fused.append([Hit(doc_id, score) for doc_id, score in best])
        return fused


class HybridRetriever(_Fused[Retriever]):
    """What several retrievers find; ties come in the order of the first one's list."""

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`."""
        check_question(texts, k)
        named = None if only is None else list(only)
        return self._ask(lambda retriever, deep: retriever.search(texts, deep, only=named), k)


class HybridRecommender(_Fused[Recommender]):
    """What several recommenders find; ties come in the order of the first one's list."""

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """As `Recommender.recommend`."""
        check_question((), k)
        named = None if only is None else list(only)
        return self._ask(lambda recommender, deep: recommender.recommend(histories, deep, only=named), k)
