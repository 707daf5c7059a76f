"""Spreading: at later positions, aim at codes that tell apart the documents of one prefix.

Section 3.2 wants documents that share a prefix to get different next codes. Contrast alone (Eq. 9) leaves
many together; here each document gets the best code that still has room among its mates, as in
self-labelling with balanced clusters (Asano et al. 2020), and the model learns to give it.
"""

import numpy as np
import torch

from lmindexer.ids.table import path_ids
from lmindexer.learn.learner import Learner

CANDIDATES = 64  # codes a document may end up with: its best ones


@torch.no_grad()
def spread_targets(learner: Learner, t: int, room: int) -> torch.Tensor:
    """The code (N,) each document should get at position t: at most `room` documents of a prefix share one."""
    learner.indexer.eval()
    N, wanted = len(learner.memories), min(CANDIDATES, learner.config.sizes[t])
    scores, codes = np.empty((N, wanted), np.float32), np.empty((N, wanted), np.int64)
    for rows in learner.memories.batches():
        hidden = learner.indexer(learner.memories.memory(rows), learner.codes(t)[rows])[:, -1]
        best = learner.indexer.codebooks[t].logits(hidden).topk(wanted)
        scores[rows], codes[rows] = best.values.cpu().numpy(), best.indices.cpu().numpy()
    chosen = assign_with_room(path_ids(learner.codes(t).cpu().numpy()), codes, scores, room)
    return torch.from_numpy(chosen)


def assign_with_room(prefix: np.ndarray, codes: np.ndarray, scores: np.ndarray, room: int) -> np.ndarray:
    """For each document (N,) one of its candidate codes (N, C), best first, with `room` places a code and prefix.

    Deferred acceptance (Gale and Shapley 1962): everyone asks for the best code left on the list, each code
    of a prefix keeps the `room` highest scores (N, C), the others ask further down. Whoever runs out of
    candidates takes the first one after all.
    """
    N, C = codes.shape
    at = np.zeros(N, np.int64)  # which candidate each document asks for
    row = np.arange(N)
    while True:
        asked, score = codes[row, at], scores[row, at]
        order = np.lexsort((-score, asked, prefix))
        same = (prefix[order][1:] == prefix[order][:-1]) & (asked[order][1:] == asked[order][:-1])
        starts = np.maximum.accumulate(np.where(np.r_[False, same], 0, np.arange(N)))
        refused = order[np.arange(N) - starts >= room]
        refused = refused[at[refused] < C - 1]
        if not len(refused):
            break
        at[refused] += 1
    crowded = np.zeros(N, bool)
    crowded[order[np.arange(N) - starts >= room]] = True  # at the end of their lists
    return codes[row, np.where(crowded, 0, at)]
