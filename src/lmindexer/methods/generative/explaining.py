"""Why generated IDs find a document or not: its path beside those that the search by beams keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmindexer.methods.generative.retriever import GenerativeRetriever, known_paths


@dataclass(frozen=True)
class Step:
    """One position of a document's path."""

    code: int
    log_p: float  # of the code given those before it, nats
    score: float  # of the path so far, as the search counts it
    rank: int | None  # of it among all paths that the search looks at here; None where it is none of them
    lowest: float  # score of the last path that is kept here
    kept: bool


def explain_path(retriever: GenerativeRetriever, question: Any, row: int, k: int) -> list[Step]:
    """The path of document `row` in the first round of a search for k documents, position by position.

    It falls off the beam where it is first not kept. A search that is `exact` goes on from there all the same.
    """
    memory = retriever.memory_of(question)
    log_p = retriever.path_log_p(memory, np.array([row]))[0].tolist()
    path = known_paths(retriever.ids, retriever.model.sizes)[row].tolist()
    steps = []
    running = 0.0
    for code, nats, node, (below, kept) in zip(
        path, log_p, retriever.nodes_of(row), retriever.watch(memory, k), strict=True
    ):
        running += nats
        seen = below.scores[0][(below.nodes[0] == node) & (below.scores[0] > -torch.inf)]
        score = float(seen[0]) if len(seen) else running
        rank = 1 + int((below.scores[0] > score).sum()) if len(seen) else None
        scores = kept.scores[0][kept.scores[0] > -torch.inf]
        is_kept = bool(((kept.nodes[0] == node) & (kept.scores[0] > -torch.inf)).any())
        steps.append(Step(code, nats, score, rank, float(scores.min()), is_kept))
    return steps


def fell_off(steps: Sequence[Step]) -> int | None:
    """The position, from 0, at which a path is first not kept; None where it is kept to the end."""
    return next((position for position, step in enumerate(steps) if not step.kept), None)
