"""Several retrievers as one: their lists fused by rank or by score."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_key
from lmindexer.methods.registry import METHODS, PARTNERS
from lmindexer.methods.retriever import ByWords, Hit, Retriever
from lmindexer.methods.taught import taught_by
from lmindexer.methods.weights import Scored
from lmindexer.questions.questions import Question
from lmindexer.questions.sequences import Sequences
from lmindexer.values import DocId

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
        listed = ", ".join(f"{weight:g}" for weight in weights)
        raise InputError(f"the weights {listed} are not all 0 or more with one above 0; change them")
    if fusion not in FUSIONS:
        raise InputError(f"{fusion!r} is no fusion; choose one of {', '.join(FUSIONS)}")
    return weights


def open_run(
    run: Path,
    kind: str,
    sequences: Sequences | None,
    *,
    fusion: str = "score",
    weights: Sequence[float] | None = None,
    partner: str = "",
    **how: Any,
) -> "HybridRetriever":
    """As `Method.open`: `partner` and generated IDs, with `weights` in this order, fused by rank or by score.

    In the place of generated IDs stands another method that the run was taught, where it answers such questions.

    By default the partner is the first of PARTNERS that answers this kind of question. Raises InputError as
    `check_fusion`, and for a partner that is none of PARTNERS, before it reads any document. What of `how` says nothing
    of generated IDs is the partner's.
    """
    check_fusion(weights, 2, fusion)
    partner = partner or next(name for name in PARTNERS if kind in METHODS[name].reads)
    if partner not in PARTNERS:
        raise InputError(f"{partner!r} is no partner of generated IDs; choose one of {', '.join(PARTNERS)}")
    if kind not in METHODS[partner].reads:
        fitting = " or ".join(name for name in PARTNERS if kind in METHODS[name].reads)
        raise InputError(f"{partner} does not answer such questions; the partner of generated IDs is {fitting}")
    taught = taught_by(run) or "generative"
    taught = taught if kind in METHODS[taught].reads and taught != partner else "generative"
    of_partner = {name: how.pop(name) for name in how.keys() - set(METHODS[taught].options)}
    retriever = METHODS[taught].open(run, kind, **how)
    beside = METHODS[partner].open(run, kind, sequences=sequences, **of_partner)
    return HybridRetriever([beside, retriever], weights, fusion)


class HybridRetriever(Retriever):
    """A document scores the weighted sum of what the list of each retriever gives it, 0 where it is not in the list.

    It answers the kinds of questions that all of its retrievers answer.
    """

    def __init__(
        self,
        retrievers: Sequence[Retriever],
        weights: Sequence[float] | None = None,
        fusion: str = "score",
        parts: Sequence[str] = (),
    ) -> None:
        """`weights` as of `check_fusion`; a retriever of weight 0 is not asked. `parts` are the retrievers' names."""
        self.parts = tuple(parts)
        self.weights = check_fusion(weights, len(retrievers), fusion)
        self.retrievers, self.fusion, self.doc_ids = retrievers, fusion, retrievers[0].doc_ids
        self.reads = tuple(kind for kind in retrievers[0].reads if all(kind in r.reads for r in retrievers))
        how = [{type(retriever).__name__: retriever.settings} for retriever in retrievers]
        self.settings: dict[str, Any] = {"fusion": fusion, "weights": self.weights, "retrievers": how}
        self._asked = [(r, weight) for r, weight in zip(retrievers, self.weights, strict=True) if weight > 0]

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        """The first 100 documents of each list are fused; where these are fewer than k, what the first 200 add comes
        behind them in the order of the fused 200, then what 400 add. So the first j of k are those of any larger k.
        """
        only = None if rows is None else [self.doc_ids[row] for row in rows.tolist()]
        depths = [DEPTH]
        while depths[-1] < k:
            depths.append(2 * depths[-1])
        lists = [retriever.answer(questions, depths[-1], only=only) for retriever, _ in self._asked]
        weights = [weight for _, weight in self._asked]
        return [self._fused(hits, weights, depths)[:k] for hits in zip(*lists, strict=True)]

    def scored(self, questions: Sequence[Question], kind: str, k: int) -> list[Scored]:
        """As `Summing.scored`: the documents of all lists, with what each of these gives them."""
        row_of = {doc_id: row for row, doc_id in enumerate(self.doc_ids)}
        lists = [retriever.answer(questions, max(k, DEPTH)) for retriever in self.retrievers]
        found = list[Scored]()
        for of_question in zip(*lists, strict=True):
            place_of = {doc_id: n for n, doc_id in enumerate({hit.doc_id: 0 for hits in of_question for hit in hits})}
            scores = np.zeros((len(lists), len(place_of)), np.float32)
            for part, hits in enumerate(of_question):
                scores[part, [place_of[hit.doc_id] for hit in hits]] = FUSIONS[self.fusion](hits)
            found.append(Scored(np.array([row_of[doc_id] for doc_id in place_of], np.int64), scores))
        return found

    def score_parts(
        self, question: Any, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """As `ByParts.score_parts`: what each retriever gives a document by the first 100 of its list."""
        parts: dict[str, dict[str, float]] = {hit.doc_id: {} for hit in hits}
        for retriever, weight in self._asked:
            (found,) = retriever.answer([question], DEPTH, only=only)
            for hit, value in zip(found, FUSIONS[self.fusion](found), strict=True):
                if hit.doc_id in parts:
                    parts[hit.doc_id][retriever.name] = weight * value
        return [parts[hit.doc_id] for hit in hits]

    def without_words(self, texts: Sequence[str]) -> list[str]:
        """As `ByWords.without_words`, by the first retriever that goes by words; none where no retriever does."""
        return next((r.without_words(texts) for r, _ in self._asked if isinstance(r, ByWords)), [])

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
