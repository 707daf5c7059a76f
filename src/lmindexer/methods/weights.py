"""How much each part of a summed score counts: tried on the dev questions, the best kept in the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import parse_metric
from lmindexer.ids.ties import tie_ranks
from lmindexer.questions.questions import Question, Questions
from lmindexer.runs import Run

KEPT = "weights.json"  # of a run: by the kind of questions
STEPS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)  # of every part but the first, which counts 1
LOWEST = -1e30  # of what is no document
SUM = "sum"  # all parts, by their weights


@dataclass(frozen=True, eq=False)
class Scored:
    """The C documents that may answer one question, and what each of P parts says of them: higher is better."""

    rows: np.ndarray  # (C,) of `doc_ids`, each once
    scores: np.ndarray  # (P, C), finite


@runtime_checkable
class Summing(Protocol):
    """A retriever whose score is a weighted sum of `parts`."""

    parts: tuple[str, ...]  # P names, such as "ids" and "dense"
    doc_ids: Sequence[str]

    def scored(self, questions: Sequence[Question], kind: str, k: int) -> list[Scored]:
        """For every question all documents that can be among its first k, whatever the weights are."""
        ...


def sums(retriever: object) -> TypeGuard[Summing]:
    """Whether a retriever has several scores to be weighed."""
    return isinstance(retriever, Summing) and len(retriever.parts) > 1


@dataclass(frozen=True)
class Weights:
    """What was picked: a weight a part, and the metric of dev that it gives."""

    by_part: dict[str, float]
    metric: str
    value: float
    alone: dict[str, float]  # the same metric of each part by itself

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        rounded = {name: round(value, 7) for name, value in self.alone.items()}
        return {"weights": self.by_part, "metric": self.metric, "dev": round(self.value, 7), "alone": rounded}


def summed(scores: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Scores (P, ...) of the parts -> (...)."""
    return np.tensordot(np.asarray(weights, np.float32), scores, 1)


def grid(parts: int) -> list[tuple[float, ...]]:
    """The weights that are tried: the first part 1 and the others of STEPS; last each of the others alone."""
    together = [(1.0, *others) for others in product(STEPS, repeat=parts - 1)]
    return together + [_only(part, parts) for part in range(1, parts)]


def pick(retriever: Summing, questions: Questions, metric: str) -> Weights:
    """The best of `grid` by a metric such as "recall@10" of these questions; of equal ones the first.

    The documents are asked for once, the weights tried on what was said of them.
    """
    k, parts, doc_ids = parse_metric(metric).k, retriever.parts, retriever.doc_ids
    together = Together(retriever.scored(questions.asked, questions.kind, k), tie_ranks(doc_ids))

    def value(weights: tuple[float, ...]) -> float:
        lists = [[doc_ids[row] for row in rows if row >= 0] for rows in together.best(weights, k).tolist()]
        return questions.judged(lists, metric)

    tried = {weights: value(weights) for weights in grid(len(parts))}
    best = max(tried, key=lambda weights: tried[weights])
    alone = {part: tried[_only(place, len(parts))] for place, part in enumerate(parts)}
    return Weights(dict(zip(parts, best, strict=True)), metric, tried[best], alone)


class Together:
    """What was said of the documents of all Q questions, side by side; they stand in the order of their ranks."""

    def __init__(self, found: Sequence[Scored], ranks: np.ndarray) -> None:
        P, C = len(found[0].scores), max(len(one.rows) for one in found)
        self.rows = np.full((len(found), C), -1, np.int64)
        self.scores = np.full((P, len(found), C), LOWEST, np.float32)
        for q, one in enumerate(found):
            order = np.argsort(ranks[one.rows])
            self.rows[q, : len(order)] = one.rows[order]
            self.scores[:, q, : len(order)] = one.scores[:, order]

    def best(self, weights: Sequence[float], k: int) -> np.ndarray:
        """Rows (Q, k) of the highest sums, equal ones by their ranks; -1: no other document."""
        total = summed(self.scores, weights)
        return np.take_along_axis(self.rows, np.argsort(-total, axis=1, kind="stable")[:, :k], 1)


def keep(run: Run, kind: str, picked: Mapping[str, Any]) -> None:
    """Keep what was picked, as `Weights.to_dict`, for questions of this kind beside what the run has for others."""
    others = run.read_json(KEPT) if run.has(KEPT) else {}
    run.write_json(KEPT, others | {kind: dict(picked)})


def kept(run: Run, kind: str, parts: Sequence[str]) -> tuple[float, ...] | None:
    """The weights of `parts` for questions of this kind; None where none were picked.

    Raises InputError where those in the run are not of these parts.
    """
    if not run.has(KEPT):
        return None
    with run.trusting(KEPT):
        found = run.read_json(KEPT).get(kind)
        if found is None:
            return None
        if set(found["weights"]) != set(parts):
            raise InputError(f"{run.path / KEPT} has weights of other scores than {', '.join(parts)}; fine-tune anew")
        return tuple(float(found["weights"][part]) for part in parts)


def weights_for(score: str, parts: Sequence[str], of_run: Sequence[float] | None) -> tuple[float, ...]:
    """The weights of `score`: one of `parts` alone, or SUM, by default as picked, else all alike.

    Raises InputError for another.
    """
    if score == SUM:
        return tuple(of_run) if of_run is not None else (1.0,) * len(parts)
    if score not in parts:
        raise InputError(f"this run scores by {', '.join((SUM, *parts))}, not {score!r}; choose one of these")
    return _only(list(parts).index(score), len(parts))


def _only(part: int, parts: int) -> tuple[float, ...]:
    return tuple(float(place == part) for place in range(parts))
