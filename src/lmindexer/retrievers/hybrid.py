"""Several retrievers as one: their lists fused by rank or by score."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from lmindexer.errors import InputError, check_list
from lmindexer.ids.ties import tie_key
from lmindexer.retrievers.hits import ByWords, Hit, Recommender, Retriever, check_question

Each = TypeVar("Each")

RANK_CONSTANT = 60  # as published
DEPTH = 100  # so much of every list is fused, whatever k is


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
        """The best k of what the retrievers find, each asked `ask(retriever, deep)`.

        The first 100 documents of each list are fused; where these are fewer than k, what the first 200 add comes
        behind them in the order of the fused 200, then what 400 add. So the first j of k are those of any larger k.
        """
        asked = [(r, weight) for r, weight in zip(self.retrievers, self.weights, strict=True) if weight > 0]
        depths = [DEPTH]
        while depths[-1] < k:
            depths.append(2 * depths[-1])
        lists = [ask(retriever, depths[-1]) for retriever, _ in asked]
        weights = [weight for _, weight in asked]
        return [self._fused(each, weights, depths)[:k] for each in zip(*lists, strict=True)]

    def _fused(self, lists: Sequence[Sequence[Hit]], weights: Sequence[float], depths: Sequence[int]) -> list[Hit]:
        """One list of several: what is first fused at a later depth scores no more than what stands before it."""
        fused: dict[str, float] = {}
        lowest = math.inf
        for depth in depths:
            scores: dict[str, float] = {}
            for hits, weight in zip(lists, weights, strict=True):
                for hit, value in zip(hits[:depth], FUSIONS[self.fusion](hits[:depth]), strict=True):
                    scores[hit.doc_id] = scores.get(hit.doc_id, 0.0) + weight * value
            new = [doc_id for doc_id in scores if doc_id not in fused]
            for doc_id in sorted(new, key=lambda doc_id: (-scores[doc_id], tie_key(doc_id))):
                lowest = fused[doc_id] = min(scores[doc_id], lowest)
        return [Hit(doc_id, score) for doc_id, score in fused.items()]


class HybridRetriever(_Fused[Retriever]):
    """What several retrievers find."""

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`."""
        check_question(texts, k)
        allowed = _listed(only)
        return self._ask(lambda retriever, deep: retriever.search(texts, deep, only=allowed), k)

    def without_words(self, texts: Sequence[str]) -> list[str]:
        """As `ByWords.without_words`, by the first retriever that goes by words; none where no retriever does."""
        asked = [r for r, weight in zip(self.retrievers, self.weights, strict=True) if weight > 0]
        return next((r.without_words(texts) for r in asked if isinstance(r, ByWords)), [])


class HybridRecommender(_Fused[Recommender]):
    """What several recommenders find."""

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """As `Recommender.recommend`."""
        check_question((), k)
        allowed = _listed(only)
        return self._ask(lambda recommender, deep: recommender.recommend(histories, deep, only=allowed), k)


def _listed(only: Iterable[str] | None) -> list[str] | None:
    """To be read by several retrievers."""
    check_list(only, "the documents of only=")
    return None if only is None else list(only)
