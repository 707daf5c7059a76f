"""Rebuilding a document from its codes: the loss of Eq. 4/8 for a batch, and how well it went at the end."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer import parallel
from lmindexer.devices import to_device
from lmindexer.learn.learner import Learner
from lmindexer.learn.losses import macro_f1, reconstruction_loss, split_hints

SLOTS = 1024  # scored over the full vocabulary at a time
ASKED = 8  # hidden tokens of a document, where it is measured how well they are rebuilt


def rebuild(learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int) -> Tensor:
    """Eq. 4/8 for hidden tokens of the rows: all of them, or `rebuilt_tokens` of each document at random."""
    hidden = _hidden_tokens(learner, rows, vectors, t, learner.config.rebuilt_tokens)
    candidates, targets = _candidates(learner, rows, hidden.tokens)
    weight, bias = learner.reconstructor.output_weights(candidates)
    z = learner.reconstructor.out_norm(hidden.z)
    loss = reconstruction_loss(z, targets, weight, bias, hidden.importance)
    return parallel.of_weight(loss, hidden.importance.sum())


@torch.no_grad()
def rebuilding_score(learner: Learner, vectors: Callable[[np.ndarray], list[Tensor]], t: int) -> dict[str, float]:
    """The Macro-F1 of rebuilt tokens (Figure 4a-c) of a sample of documents, as the model is; to be logged.

    `vectors` gives what is said of some rows, as `rebuild` takes it. The same documents are asked every time, a few
    of their hidden tokens each.
    """
    sample = np.unique(np.linspace(0, len(learner.memories) - 1, 256).round().astype(np.int64))
    found = []
    for at in range(0, len(sample), 64):
        rows = sample[at : at + 64]
        with learner.trainer.precision():
            hidden = _hidden_tokens(learner, rows, vectors(rows), t, ASKED)
            candidates, _ = _candidates(learner, rows, hidden.tokens)
            best = learner.reconstructor.token_logits(hidden.z, candidates).argmax(1)
        counted = hidden.importance > 0
        predicted = best if candidates is None else candidates[best]
        found.append(torch.stack([predicted, hidden.tokens])[:, counted])
    predicted, tokens = torch.cat(found, 1)
    return {"macro_f1": float(macro_f1(predicted, tokens))} if len(tokens) else {}


@dataclass(frozen=True)
class HiddenTokens:
    """M places of documents where a token is hidden; where a document has fewer, `importance` is 0."""

    z: Tensor  # (M, D): z_w of Eq. 5/7
    tokens: Tensor  # (M,)
    importance: Tensor  # (M,)


def _hidden_tokens(learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int, most: int = 0) -> HiddenTokens:
    """Hidden tokens of the rows, all or at most so many of each, with what the reconstructor makes of them."""
    backbone, ratio = learner.indexer.backbone, learner.config.at("hints", t)
    tokens, mask = learner.memories.tokens(rows)
    hints, places, counted = split_hints(mask & ~backbone.special[tokens], ratio, most)
    z = learner.reconstructor(vectors, tokens, hints, places, most_hints=math.floor(ratio * tokens.shape[1]) + 1)
    hidden = tokens.gather(1, places)
    return HiddenTokens(z.flatten(0, 1), hidden.flatten(), (backbone.token_weight[hidden] * counted).flatten())


def _candidates(learner: Learner, rows: np.ndarray, targets: Tensor) -> tuple[Tensor | None, Tensor]:
    """The tokens (C,) of the rows that the softmax is over, None for the full vocabulary, and targets (M,) in these.

    They are found on the host, where the tokens are, so that no step waits for the device.
    """
    tokens = learner.memories.corpus_tokens
    if learner.config.softmax != "batch" or tokens is None:
        return None, targets
    present = tokens.different(parallel.whole(rows), learner.indexer.backbone.special_ids)
    candidates = to_device(present if len(present) else np.zeros(1, np.int64), targets.device)
    return candidates, torch.searchsorted(candidates, targets).clamp(max=len(candidates) - 1)


@torch.no_grad()
def rebuilding_quality(learner: Learner, sample: int = 2000) -> dict[str, dict[str, float]]:
    """How well hidden tokens are rebuilt from hints and all codes: a document's own, another's, or none.

    Nats and accuracy a token (weighted as in training) over the full vocabulary, with the hint ratio of
    the last position, on `ASKED` hidden tokens of each of a sample of documents, the same for all three.
    Codes that tell nothing rebuild as well when shuffled.
    """
    config, T = learner.config, len(learner.config.sizes)
    learner.indexer.eval()
    learner.reconstructor.eval()
    torch.manual_seed(config.seed)
    rows = torch.randperm(len(learner.memories))[:sample].numpy()
    codes = learner.codes(T)
    sources = {"codes": codes[rows], "shuffled codes": codes[np.roll(rows, 1)], "hints alone": None}
    found = {}
    for name, given in sources.items():
        torch.manual_seed(config.seed)  # the same tokens are hidden each time
        nats, right, weight = 0.0, 0.0, 0.0
        for at in range(0, len(rows), 64):
            vectors = [] if given is None else learner.indexer.code_vectors(given[at : at + 64])
            with learner.trainer.precision():
                scored = _score_hidden_tokens(learner, rows[at : at + 64], vectors, T - 1)
            nats, right, weight = nats + scored[0], right + scored[1], weight + scored[2]
        found[name] = {"nats": nats / max(weight, 1e-9), "accuracy": right / max(weight, 1e-9)}
    return found


def _score_hidden_tokens(
    learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int
) -> tuple[float, float, float]:
    """Sums over hidden tokens: weighted nats, weighted hits, weight."""
    hidden = _hidden_tokens(learner, rows, vectors, t, ASKED)
    parts = (x[hidden.importance > 0].split(SLOTS) for x in (hidden.z, hidden.tokens, hidden.importance))
    nats, right = 0.0, 0.0
    for some, wanted, share in zip(*parts, strict=True):
        logits = learner.reconstructor.token_logits(some).float()
        nats += float(nn.functional.cross_entropy(logits, wanted, reduction="none") @ share)
        right += float((logits.argmax(1) == wanted).float() @ share)
    return nats, right, float(hidden.importance.sum())
