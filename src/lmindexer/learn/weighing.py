"""How tokens count in a document's vector, chosen for each corpus by a judge that needs no labels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmindexer.corpus.tokens import Tokens
from lmindexer.evaluation.other_half import found_by_vectors
from lmindexer.learn.memories import Memories
from lmindexer.learn.parts import WINDOWS, windows
from lmindexer.model.backbone import Backbone
from lmindexer.model.decoder import pool
from lmindexer.progress import Progress

SAMPLE = 1000  # documents that are asked for: seconds of reading


def weigh_tokens(
    backbone: Backbone,
    tokens: Tokens,
    frequency: Tensor,
    exponents: Sequence[float],
    seed: int,
    bf16: bool,
    progress: Progress,
) -> None:
    """Weigh tokens by `frequency` (V,), the share of documents that hold them, to an exponent.

    Of several it is the one with which half a document best finds its other half.
    """
    best = exponents[0]
    if len(exponents) > 1:
        found = halves_found(backbone, tokens, frequency, exponents, seed, bf16)
        best = max(found, key=lambda exponent: found[exponent])
        shown = ", ".join(f"{exponent:g}: {value:.3f}" for exponent, value in found.items())
        progress.say(f"token weights of exponent {best:g}: half a document finds its other half with MRR {shown}")
    backbone.weigh_tokens(frequency, best)


@torch.no_grad()
def halves_found(
    backbone: Backbone,
    tokens: Tokens,
    frequency: Tensor,
    exponents: Sequence[float],
    seed: int,
    bf16: bool,
) -> dict[float, float]:
    """How well the vectors of first halves find those of second halves, by exponent, on a sample of the documents."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(tokens))[:SAMPLE])
    sample = Tokens.of([tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].tolist() for row in rows])
    halves = Memories(backbone, windows(sample, backbone.special.cpu().numpy(), backbone.longest), bf16)
    ends = np.concatenate([np.arange(len(sample)) * WINDOWS, np.arange(len(sample)) * WINDOWS + WINDOWS - 1])
    ends = ends[np.argsort(halves.lengths[ends], kind="stable")]
    vectors = {exponent: np.empty((len(halves), backbone.dim), np.float32) for exponent in exponents}
    weights = {exponent: _weights(backbone, frequency, exponent) for exponent in exponents}  # each (V,)
    backbone.eval()
    for at in range(0, len(ends), 128):
        part = ends[at : at + 128]
        memory, (ids, mask) = halves.memory(part), halves.tokens(part)
        for exponent, of_halves in vectors.items():
            backbone.token_weight.copy_(weights[exponent])
            of_halves[part] = pool(memory.states, backbone.weight_of(ids, mask)).cpu()
    return {
        exponent: found_by_vectors(*(_centred(of_halves[end::WINDOWS]) for end in (0, WINDOWS - 1)))
        for exponent, of_halves in vectors.items()
    }


def _weights(backbone: Backbone, frequency: Tensor, exponent: float) -> Tensor:
    backbone.weigh_tokens(frequency, exponent)
    return backbone.token_weight.clone()


def _centred(vectors: np.ndarray) -> np.ndarray:
    return vectors - vectors.mean(0)
