"""Rebuilding a document from its codes: the loss of Eq. 4/8 for a batch, and how well it went at the end."""

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.learn.learner import Learner
from lmindexer.learn.losses import macro_f1, reconstruction_loss, split_hints

SLOTS = 1024  # scored over the full vocabulary at a time


def rebuild(learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int) -> tuple[Tensor, Tensor]:
    """Eq. 4/8 and the Macro-F1 of the rebuilt tokens."""
    reconstructor = learner.reconstructor
    z, targets, importance, present = _hidden_tokens(learner, rows, vectors, t)
    if not len(z):
        zero = reconstructor.bias.sum() * 0.0
        return zero, zero.detach()
    z, candidates = reconstructor.out_norm(z), None
    if learner.config.softmax == "batch":
        candidates = present
        targets = torch.searchsorted(candidates, targets)
    weight, bias = reconstructor.output_weights(candidates)
    loss = reconstruction_loss(z, targets, weight, bias, importance)
    with torch.no_grad():
        some = slice(0, 512)  # enough for the curve, and no [B, L, V]
        predicted = (z[some] @ weight.T.to(z.dtype) + bias).argmax(1)
        score = macro_f1(predicted, targets[some])
    return loss, score


def _hidden_tokens(
    learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z_w (M, D) of the rows' masked tokens, the tokens (M), their importance (M), and all present (C)."""
    backbone = learner.indexer.backbone
    tokens, mask = learner.memories.tokens(rows)
    maskable = mask & ~backbone.special[tokens]
    hints, places, counted = split_hints(maskable, learner.config.at("hints", t))
    longest = int(counted.sum(1).max())
    places, counted = places[:, :longest], counted[:, :longest]
    targets = tokens.gather(1, places)[counted]
    importance = backbone.token_weight[targets]
    if not longest:
        return targets.new_empty(0, backbone.dim, dtype=torch.float32), targets, importance, targets
    z = learner.reconstructor(vectors, tokens, hints, places)[counted]
    return z, targets, importance, tokens[maskable].unique()


@torch.no_grad()
def rebuilding_quality(learner: Learner, sample: int = 2000) -> dict[str, dict[str, float]]:
    """How well hidden tokens are rebuilt from hints and all codes: a document's own, another's, or none.

    Nats and accuracy a token (weighted as in training) over the full vocabulary, with the hint ratio of
    the last position, on a sample of documents. Codes that tell nothing rebuild as well when shuffled.
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
            scored = _score_hidden_tokens(learner, rows[at : at + 64], vectors, T - 1)
            nats, right, weight = nats + scored[0], right + scored[1], weight + scored[2]
        found[name] = {"nats": nats / max(weight, 1e-9), "accuracy": right / max(weight, 1e-9)}
    return found


def _score_hidden_tokens(
    learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int
) -> tuple[float, float, float]:
    """Sums over hidden tokens: weighted nats, weighted hits, weight."""
    z, targets, importance, _ = _hidden_tokens(learner, rows, vectors, t)
    if not len(z):
        return 0.0, 0.0, 0.0
    nats, right = 0.0, 0.0
    for some, wanted, share in zip(z.split(SLOTS), targets.split(SLOTS), importance.split(SLOTS), strict=True):
        logits = learner.reconstructor.token_logits(some)
        nats += float(nn.functional.cross_entropy(logits, wanted, reduction="none") @ share)
        right += float((logits.argmax(1) == wanted).float() @ share)
    return nats, right, float(importance.sum())
