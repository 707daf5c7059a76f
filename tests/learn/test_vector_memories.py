"""Vectors as memories of one state: directions and cosines stay, whatever their width."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.learn.vector_memories import VectorMemories, axes_of, states_of
from lmindexer.model.backbone import Backbone, load_backbone
from tiny import WIDTH


@pytest.fixture(scope="module")
def backbone(checkpoints: dict[str, Path]) -> Backbone:
    return load_backbone(str(checkpoints["bert"])).eval()


def cosines(vectors: torch.Tensor) -> torch.Tensor:
    unit = F.normalize(vectors.float(), dim=1)
    return unit @ unit.T


def test_states_by_hand():
    states = states_of(torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2e-6]]), 4, None)
    torch.testing.assert_close(states, torch.tensor([[1.2, 1.6, 0, 0], [0, 0, 0, 0], [0, -2, 0, 0]]))


def test_narrow_vectors_keep_their_cosines():
    vectors = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    states = states_of(vectors, WIDTH, axes_of(vectors.numpy(), WIDTH, 0))
    torch.testing.assert_close(cosines(states), cosines(vectors))
    torch.testing.assert_close(states.square().mean(1), torch.ones(20))


def test_wide_vectors_that_have_few_directions_keep_their_cosines():
    seed = torch.Generator().manual_seed(0)
    vectors = (
        1e3 * torch.randn(40, 5, generator=seed) @ torch.randn(5, 60, generator=seed) + 1e3
    )  # six directions, one of them the mean's
    axes = axes_of(vectors.numpy(), 8, 0)
    assert axes is not None
    assert axes.shape == (60, 8)
    torch.testing.assert_close(cosines(states_of(vectors, 8, axes)), cosines(vectors), atol=1e-4, rtol=0)
    torch.testing.assert_close(axes.T @ axes, torch.eye(8), atol=1e-5, rtol=0)


def test_axes_have_one_sign_whatever_the_machine_found():
    axes = axes_of(np.random.default_rng(0).normal(size=(90, 30)), 12, 0)
    assert axes is not None
    assert bool((axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all())


def test_axes_go_by_what_there_is_most_of():
    vectors = np.zeros((30, 3), np.float32)
    vectors[:20, 1], vectors[20:28, 0], vectors[28:, 2] = -1, -1, -1
    np.testing.assert_allclose(axes_of(vectors, 2, 0), [[0, 1], [1, 0], [0, 0]], atol=1e-6)


def test_a_memory_is_one_state_and_its_own_vector(backbone: Backbone, corpus: Corpus):
    vectors = np.random.default_rng(0).normal(size=(len(corpus), 9)).astype(np.float16)
    tokens = Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 16))
    memories = VectorMemories(backbone, vectors, None, tokens)
    memory = memories.memory(np.array([5, 2, 5]))
    assert memory.states.shape == (3, 1, WIDTH)
    assert memory.mask.tolist() == memory.weight.bool().tolist() == [[True]] * 3
    torch.testing.assert_close(memory.states[:, 0], states_of(torch.from_numpy(vectors[[5, 2, 5]]), WIDTH, None))
    assert memories.tokens(np.array([5]))[0][0].tolist() == backbone.tokenize([corpus[5].text], 16)[0]
    assert memories.lengths[5] == len(backbone.tokenize([corpus[5].text], 16)[0])
    assert np.sort(np.concatenate(list(memories.batches(32)))).tolist() == list(range(len(corpus)))
    assert torch.equal(memories.embeddings(), torch.from_numpy(vectors))
    same = VectorMemories(backbone, torch.from_numpy(vectors), None).memory(np.array([5, 2, 5]))
    assert torch.equal(same.states, memory.states)
