"""Token weights chosen by whether half a document finds its other half."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.learn import weighing
from lmindexer.learn.memories import document_frequency
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.model.decoder import pool
from lmindexer.progress import Progress

EXPONENTS = (0.0, 0.35, 2.0)


@pytest.fixture
def backbone(checkpoints: dict[str, Path]) -> Backbone:
    return load_backbone(str(checkpoints["bert"]))


def tokens_of(backbone: Backbone, corpus: Corpus) -> tuple[Tokens, torch.Tensor]:
    tokens = Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 64))
    return tokens, torch.from_numpy(document_frequency(tokens, len(backbone.vocabulary))[0]).float()


def weights_at(backbone: Backbone, frequency: torch.Tensor, exponent: float) -> torch.Tensor:
    backbone.weigh_tokens(frequency, exponent)
    return backbone.token_weight.clone()


def test_one_exponent_is_taken_as_it_is(backbone: Backbone, corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    tokens, frequency = tokens_of(backbone, corpus)
    monkeypatch.setattr(weighing, "halves_found", None)
    weighing.weigh_tokens(backbone, tokens, frequency, (0.7,), 0, False, Progress(None))
    assert torch.equal(backbone.token_weight, weights_at(backbone, frequency, 0.7))


def test_of_several_the_one_is_taken_that_finds_most(
    backbone: Backbone, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    tokens, frequency = tokens_of(backbone, corpus)
    found = {0.0: 0.1, 0.35: 0.3, 2.0: 0.2}
    monkeypatch.setattr(weighing, "halves_found", lambda *given: found)
    said = io.StringIO()
    weighing.weigh_tokens(backbone, tokens, frequency, EXPONENTS, 0, False, Progress(said))
    assert torch.equal(backbone.token_weight, weights_at(backbone, frequency, 0.35))
    assert "exponent 0.35" in said.getvalue()
    assert "0: 0.100, 0.35: 0.300, 2: 0.200" in said.getvalue()


@torch.no_grad()
def test_halves_are_read_apart_and_centred(backbone: Backbone, corpus: Corpus):
    """The same by hand: halves as texts of their own, each side less its mean, the rank of the right one."""
    tokens, frequency = tokens_of(backbone, corpus)
    found = weighing.halves_found(backbone, tokens, frequency, EXPONENTS, 0, False)
    special = backbone.special.numpy()
    for exponent, value in found.items():
        backbone.weigh_tokens(frequency, exponent)
        sides = []
        for end in (0, 1):
            vectors = []
            for row in range(len(tokens)):
                ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
                content = ids[~special[ids]]
                size = -(-len(content) // 2)
                half = [*(content[-size:] if end else content[:size]), ids[-1]]  # the end stands behind every text
                memory = backbone.remember(
                    torch.tensor(np.array([half], dtype=np.int64)), torch.ones(1, len(half)).bool()
                )
                vectors.append(pool(memory.states, memory.weight)[0])
            side = torch.stack(vectors) - torch.stack(vectors).mean(0)
            sides.append(side / side.norm(dim=1, keepdim=True))
        scores = (sides[0] @ sides[1].T).numpy()
        above = scores - scores.diagonal()[:, None]
        ahead = (above > 1e-4).sum(1) + ((abs(above) <= 1e-4).sum(1) - 1) / 2  # many texts here are alike
        assert value == pytest.approx(float((1 / (1 + ahead)).mean()), abs=0.02)
    assert len({round(value, 4) for value in found.values()}) > 1
