"""Algorithm 1: learn one position after another; earlier positions stay as they are."""

import numpy as np
import torch

from lmindexer.ids.table import IdTable
from lmindexer.learn.kmeans import kmeans
from lmindexer.learn.learner import Learner, assign, hidden_states
from lmindexer.learn.stages import settle, train_position, warm_up_encoder, warm_up_reconstructor


def learn_ids(learner: Learner, doc_ids: tuple[str, ...]) -> IdTable:
    """Algorithm 1. Every step is skipped that a checkpoint says was done."""
    warm_up_reconstructor(learner)  # Eq. 12
    for t in range(len(learner.config.sizes)):
        warm_up_encoder(learner, t)  # Eq. 13
        start_codebook(learner, t)  # K-means of {h^t}
        train_position(learner, t)  # Eq. 11
        assign_position(learner, t)  # Eq. 3
    settle(learner)
    codes = learner.codes(len(learner.config.sizes)).cpu().numpy().astype(np.int32)
    return IdTable(doc_ids, codes, learner.config.sizes).with_suffix()


def start_codebook(learner: Learner, t: int) -> None:
    """The codebook's start: K-means of {h^t}, seen from the origin that look-up sees them from."""

    def start() -> None:
        size = learner.config.sizes[t]
        rows = torch.randperm(len(learner.memories))[: 256 * size].sort().values.numpy()
        hidden = hidden_states(learner, t, rows)
        crowding = learner.config.crowding if t == 0 else 0.0
        clusters = kmeans(hidden, size, learner.config.seed, crowding, far_apart=t > 0)
        learner.indexer.codebooks[t].initialise(clusters.centres, clusters.prior)

    learner.trainer.once(f"c{t + 1}: K-means", start)


def assign_position(learner: Learner, t: int) -> None:
    """Append the codes of position t; those of earlier positions are not touched."""

    def append() -> None:
        codes = learner.state.codes
        column = torch.from_numpy(assign(learner, t)).to(codes)
        learner.state.codes = torch.cat([codes, column[:, None]], dim=1)

    learner.trainer.once(f"c{t + 1}: codes", append)
