"""Spreading: at later positions, aim at codes that tell apart the documents of one prefix.

Section 3.2 wants documents that share a prefix to get different next codes. Contrast alone (Eq. 9) leaves
many together; here each document gets the best code that no unlike mate has, as in self-labelling with
balanced clusters (Asano et al. 2020), and the model learns to give it.
"""

import numpy as np
import torch
import torch.nn.functional as F

from lmindexer.ids.table import path_ids
from lmindexer.learn.learner import Learner
from lmindexer.model.decoder import pool

CANDIDATES = 64  # codes a document may end up with: its best ones


@torch.no_grad()
def spread_targets(learner: Learner, t: int, alike: float) -> torch.Tensor:
    """The code (N,) each document should get at position t: of one prefix only alike documents share one.

    Two documents are alike when the cosine of their centred vectors is at least `alike`.
    """
    learner.indexer.eval()
    N, wanted = len(learner.memories), min(CANDIDATES, learner.config.sizes[t])
    scores, codes = np.empty((N, wanted), np.float32), np.empty((N, wanted), np.int64)
    vectors = torch.empty(N, learner.indexer.backbone.dim)
    for rows in learner.memories.batches():
        memory = learner.memories.memory(rows)
        best = learner.indexer.codebooks[t].logits(learner.indexer(memory, learner.codes(t)[rows])[:, -1]).topk(wanted)
        scores[rows], codes[rows] = best.values.cpu().numpy(), best.indices.cpu().numpy()
        vectors[rows] = pool(memory.states, memory.weight).cpu()
    vectors = F.normalize(vectors - vectors.mean(0), dim=1)
    prefix = path_ids(learner.codes(t).cpu().numpy())
    return torch.from_numpy(assign_apart(prefix, codes, scores, vectors.numpy(), alike))


def assign_apart(
    prefix: np.ndarray, codes: np.ndarray, scores: np.ndarray, vectors: np.ndarray, alike: float
) -> np.ndarray:
    """For each document (N,) one of its candidate codes (N, C), best first, shared with alike mates only.

    Deferred acceptance (Gale and Shapley 1962): everyone asks for the best code left on the list, each code
    of a prefix keeps the highest score (N, C) and those whose unit `vectors` (N, D) are alike to that one's,
    the others ask further down. Whoever runs out of candidates takes the first one after all.
    """
    N, C = codes.shape
    paths = np.unique(prefix, return_inverse=True)[1].astype(np.int64)  # small numbers: where one asks is a number, too
    places = paths[:, None] * (int(codes.max(initial=0)) + 1) + codes  # (N, C)
    at = np.zeros(N, np.int64)  # which candidate each document asks for
    asked = places[:, 0].copy()
    asking = np.arange(N)  # those at a place that someone new asks for; all the others stay as they are
    while len(asking):
        unlike = _unlike(asking, asked, scores[asking, at[asking]], vectors, alike)
        moving = unlike[at[unlike] < C - 1]
        at[moving] += 1
        asked[moving] = places[moving, at[moving]]
        asking = np.flatnonzero(np.isin(asked, asked[moving]))
    row = np.arange(N)
    at[_unlike(row, asked, scores[row, at], vectors, alike)] = 0  # at the end of their lists
    return codes[row, at]


def _unlike(rows: np.ndarray, asked: np.ndarray, score: np.ndarray, vectors: np.ndarray, alike: float) -> np.ndarray:
    """Which of the `rows` are not alike to the one of the highest `score` (one a row) that asks for the same."""
    best = np.lexsort((-score, asked[rows]))
    order = rows[best]
    first = np.r_[True, asked[order][1:] != asked[order][:-1]]
    head = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    others = np.flatnonzero(head != order)
    cosines = np.einsum("nd,nd->n", vectors[order[others]], vectors[head[others]])
    return order[others[cosines < alike]]
