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
    at = np.zeros(N, np.int64)  # which candidate each document asks for
    row = np.arange(N)
    while True:
        asked, score = codes[row, at], scores[row, at]
        order = np.lexsort((-score, asked, prefix))
        same = (prefix[order][1:] == prefix[order][:-1]) & (asked[order][1:] == asked[order][:-1])
        head = np.maximum.accumulate(np.where(np.r_[False, same], 0, row))  # where each code's highest score is
        others = np.flatnonzero(head != row)
        cosines = np.einsum("nd,nd->n", vectors[order[others]], vectors[order[head[others]]])
        unlike = order[others[cosines < alike]]
        refused = unlike[at[unlike] < C - 1]
        if not len(refused):
            break
        at[refused] += 1
    at[unlike] = 0  # at the end of their lists
    return codes[row, at]
