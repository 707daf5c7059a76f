"""Eq. 2, 3 and 6: one probability, its arg-max, and the straight-through gradient."""

import numpy as np
import pytest
import torch

from lmindexer.model.codebook import Codebook

K, D = 7, 4


@pytest.fixture
def codebook() -> Codebook:
    torch.manual_seed(0)
    codebook = Codebook(K, D)
    codebook.prior.copy_(torch.randn(K) * 0.3)
    return codebook


def test_logits_by_hand():
    codebook = Codebook(2, 4)
    with torch.no_grad():
        codebook.weight.copy_(torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]]))
    hidden = torch.tensor([[[3.0, 1.0, 0.5, 0.0]]])  # dot products 5 and 2, times 4**-0.5
    assert codebook.logits(hidden).tolist() == [[[2.5, 1.0]]]
    assert codebook.assign(hidden).tolist() == [[0]]
    codebook.prior.copy_(torch.tensor([0.0, 2.0]))
    assert codebook.logits(hidden).tolist() == [[[2.5, 3.0]]]
    assert codebook.assign(hidden).tolist() == [[1]]


def test_the_code_is_the_most_probable_one(codebook: Codebook):
    hidden = torch.randn(20, 3, D)
    assert torch.equal(codebook.assign(hidden), codebook.logits(hidden).softmax(-1).argmax(-1))


def test_forward_gives_the_row_of_the_code(codebook: Codebook):
    hidden = torch.randn(20, D)
    torch.testing.assert_close(codebook.quantize(hidden), codebook.weight[codebook.assign(hidden)])


def test_backward_gives_the_gradient_of_the_soft_mean_to_hidden_and_to_every_row(codebook: Codebook):
    hidden = torch.randn(20, D, requires_grad=True)
    upstream = torch.randn(20, D)
    soft = codebook.logits(hidden).softmax(-1) @ codebook.weight
    expected = torch.autograd.grad(soft, (hidden, codebook.weight), upstream)
    mine = torch.autograd.grad(codebook.quantize(hidden), (hidden, codebook.weight), upstream)
    for got, wanted in zip(mine, expected, strict=True):
        torch.testing.assert_close(got, wanted)
    assert (mine[1].abs().sum(1) > 0).all(), "rows that were not chosen learn too"


def test_a_temperature_changes_the_gradient_alone(codebook: Codebook):
    hidden = torch.randn(20, D, requires_grad=True)
    upstream = torch.randn(20, D)
    soft = (codebook.logits(hidden) / 3).softmax(-1) @ codebook.weight
    expected = torch.autograd.grad(soft, (hidden, codebook.weight), upstream)
    quantized = codebook.quantize(hidden, temperature=3)
    torch.testing.assert_close(quantized, codebook.weight[codebook.assign(hidden)])
    mine = torch.autograd.grad(quantized, (hidden, codebook.weight), upstream)
    for got, wanted in zip(mine, expected, strict=True):
        torch.testing.assert_close(got, wanted)


def test_where_one_code_is_nearly_certain_a_temperature_lets_more_gradient_through():
    codebook = Codebook(2, 4)
    with torch.no_grad():
        codebook.weight.copy_(torch.tensor([[2.0, 0.0, 0.0, 0.0], [-2.0, 0.0, 0.0, 0.0]]))
    hidden = torch.tensor([[4.0, 0.0, 0.0, 0.0]], requires_grad=True)  # logits 4 and -4
    slopes = []
    for temperature in (1.0, 4.0):
        (slope,) = torch.autograd.grad(codebook.quantize(hidden, temperature)[:, 0], hidden)
        p = 1 / (1 + np.exp(-8 / temperature))
        assert slope[0, 0].item() == pytest.approx(8 * p * (1 - p) / temperature, rel=1e-3)  # d/dh of 2 (p - (1 - p))
        slopes.append(slope[0, 0].item())
    assert slopes[1] > 50 * slopes[0]


def test_half_precision_states_give_probabilities_in_full_precision(codebook: Codebook):
    hidden = torch.randn(3, D, dtype=torch.bfloat16)
    assert codebook.logits(hidden).dtype == torch.float32
    assert codebook.quantize(hidden).dtype == torch.float32


def test_autocast_changes_neither_logits_nor_codes_nor_the_gradient():
    """What is chosen while learning in bfloat16 is what is chosen when asked."""
    torch.manual_seed(0)
    codebook = Codebook(200, 64)
    hidden = torch.randn(500, 64, requires_grad=True)
    upstream = torch.randn(500, 64)
    answers = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, codes, vectors = codebook.logits(hidden), codebook.assign(hidden), codebook.quantize(hidden)
        answers.append((logits, codes, vectors, *torch.autograd.grad(vectors, (hidden, codebook.weight), upstream)))
    for full, mixed in zip(*answers, strict=True):
        assert torch.equal(full, mixed)


def test_the_start_brings_centres_to_one_length_and_keeps_their_directions(codebook: Codebook):
    centres = torch.randn(K, D) * torch.arange(1, K + 1)[:, None]
    prior = -torch.arange(K, dtype=torch.float32)
    codebook.initialise(centres, prior)
    torch.testing.assert_close(codebook.weight.norm(dim=1), torch.full((K,), D**0.5), rtol=1e-4, atol=1e-4)
    cosine = torch.cosine_similarity(codebook.weight, centres)
    torch.testing.assert_close(cosine, torch.ones(K))
    assert torch.equal(codebook.prior, prior)
    assert "prior" not in dict(codebook.named_parameters()), "a constant, not learned"
