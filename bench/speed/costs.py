"""What a step must compute, as formulas: floating-point operations by part, forwards and backwards.

A product of (m, k) and (k, n) is 2 m k n operations. What learns costs twice as much backwards as forwards: the
gradient of its input and that of its weights. Norms, dropout, softmax and the optimiser move bytes, and count for
nothing here.
"""

import math
from dataclasses import dataclass, field

from bench.speed.shapes import Shape
from lmindexer.learn.learner import Learner


@dataclass(frozen=True)
class Cost:
    """Floating-point operations of a step, by part."""

    parts: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def learning_step(shape: Shape, learner: Learner, tokens: int, batch: int, t: int) -> Cost:
    """A training step (Eq. 11) at position t of `batch` documents of so many tokens, on a T5 of this shape."""
    config = learner.config
    views = 2 if config.contrastive else 1
    hidden = config.rebuilt_tokens or tokens - math.floor(config.at("hints", t) * tokens)
    hints = math.floor(config.at("hints", t) * tokens) + 1
    queries = (t + 1) * hidden
    candidates = min(learner.indexer.backbone.vocabulary.shape[0], batch * tokens)
    forwards = {
        "encoder": views * encoder(shape, tokens),
        "keys and values of the decoder": views * memory_reading(shape, tokens),
        "decoder": views * decoder(shape, tokens, t + 1),
        "reconstructor": reconstructor(shape.dim, config.reconstructor_layers, queries, hints),
    }
    parts = {name: 3 * batch * flops for name, flops in forwards.items()}
    parts["softmax"] = 2 * batch * 2 * hidden * candidates * shape.dim  # the vocabulary itself does not learn
    return Cost(parts)


def encoder(shape: Shape, tokens: int) -> float:
    """Forwards, one document."""
    projections = 4 * 2 * shape.dim * shape.inner
    attention = 2 * 2 * tokens * shape.inner
    return shape.layers * tokens * (projections + attention + 2 * 2 * shape.dim * shape.feed_forward)


def memory_reading(shape: Shape, tokens: int) -> float:
    """The encoder's states as keys and values of every layer of the decoder, one document."""
    return shape.layers * tokens * 2 * 2 * shape.dim * shape.inner


def decoder(shape: Shape, tokens: int, steps: int) -> float:
    """The rest of the decoder for an ID of so many steps, one document."""
    projections = (4 + 2) * 2 * shape.dim * shape.inner
    attention = 2 * 2 * (tokens + steps) * shape.inner
    return shape.layers * steps * (projections + attention + 2 * 2 * shape.dim * shape.feed_forward)


def reconstructor(dim: int, layers: int, queries: int, hints: int) -> float:
    """Attention of the hidden places' queries to the hints, and what follows, one document."""
    keys_values = hints * 2 * 2 * dim * dim
    each_query = 2 * 2 * dim * dim + 2 * 2 * hints * dim + 2 * 2 * dim * 4 * dim
    return layers * (keys_values + queries * each_query)
