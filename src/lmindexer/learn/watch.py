"""Collapse watched as it happens, and dead codes given a new start."""

import numpy as np
import torch

from lmindexer.ids.collapse import ADVICE, collapse_of_position
from lmindexer.ids.quality import difference_ratio, perplexity, used_share
from lmindexer.ids.table import path_ids
from lmindexer.learn.learner import Learner, hidden_states
from lmindexer.training import filled


def watch_codes(learner: Learner, t: int, restart: bool) -> dict[str, float]:
    """Collapse seen as it happens: perplexity, share of codes used, documents sharing their path."""
    size = learner.config.sizes[t]
    chosen = filled(learner.state.chosen).cpu().numpy()
    before = learner.codes(t).cpu().numpy()
    path = path_ids(np.column_stack([before, chosen]))
    numbers = {
        "perplexity": perplexity(chosen, size),
        "used": used_share(chosen, size),
        "sharing": float((np.bincount(path)[path] > 1).mean()),
        "difference_ratio": difference_ratio(before, chosen),
    }
    counts = np.bincount(chosen, minlength=size)
    dead = np.flatnonzero(counts == 0)
    if warning := collapse_of_position(chosen, size, t, ADVICE["lmindexer"]):
        learner.trainer.progress.warn(warning)
    if restart and len(dead):
        _restart(learner, t, dead, chosen, counts)
        numbers["restarted"] = len(dead)
    return numbers


@torch.no_grad()
def _restart(learner: Learner, t: int, dead: np.ndarray, chosen: np.ndarray, counts: np.ndarray) -> None:
    """Put unused codes on documents of crowded codes, chosen with odds ~ the crowd."""
    generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
    odds = torch.from_numpy(counts[chosen].astype(np.float64))
    picked = torch.multinomial(odds, min(len(dead), len(chosen)), generator=generator).numpy()
    weight = learner.indexer.codebooks[t].weight
    places = torch.from_numpy(dead[: len(picked)]).to(weight.device)
    length = weight.norm(dim=1).mean()
    hidden = hidden_states(learner, t, picked)
    weight[places] = hidden / hidden.norm(dim=1, keepdim=True) * length
