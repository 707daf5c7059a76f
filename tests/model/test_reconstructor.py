"""Eq. 5 and 7: a slot knows its codes, its place and the hints, and never a masked token."""

import pytest
import torch
from torch import Tensor

from lmindexer.model.reconstructor import Reconstructor

V, D, L = 30, 16, 8
HINTS = torch.tensor([[0, 1, 0, 1, 1, 0, 0, 0]] * 2, dtype=torch.bool)
MASKED = torch.tensor([[0, 2, 5, 6, 7]] * 2)


@pytest.fixture(params=[1, 2, 3])
def reconstructor(request: pytest.FixtureRequest) -> Reconstructor:
    torch.manual_seed(0)
    reconstructor = Reconstructor(torch.randn(V, D), layers=request.param, max_tokens=12, dropout=0.1).eval()
    with torch.no_grad():
        for p in reconstructor.parameters():
            p.add_(torch.randn_like(p) * 0.3)  # so that every part has a say
    return reconstructor


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(V, (2, L), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def codes() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(2, D, generator=generator) for _ in range(2)]


def changed(tokens: Tensor, place: int) -> Tensor:
    other = tokens.clone()
    other[:, place] = (other[:, place] + 1) % V
    return other


@torch.no_grad()
def test_no_slot_ever_sees_a_masked_token(reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]):
    before = reconstructor(codes, tokens, HINTS, MASKED)
    for place in MASKED[0].tolist():
        after = reconstructor(codes, changed(tokens, place), HINTS, MASKED)
        assert torch.equal(before, after), f"the token at {place} leaks, be it into its own slot or another"


@torch.no_grad()
def test_every_slot_sees_every_hint(reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]):
    before = reconstructor(codes, tokens, HINTS, MASKED)
    for place in HINTS[0].nonzero().flatten().tolist():
        after = reconstructor(codes, changed(tokens, place), HINTS, MASKED)
        assert ((before - after).abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_where_a_hint_stands_matters(reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]):
    first, second = HINTS[0].nonzero()[:2, 0].tolist()
    exchanged = tokens.clone()
    exchanged[:, [first, second]] = tokens[:, [second, first]]
    assert (tokens[:, first] != tokens[:, second]).all()
    difference = reconstructor(codes, tokens, HINTS, MASKED) - reconstructor(codes, exchanged, HINTS, MASKED)
    assert (difference.abs().amax(-1) > 1e-3).all()


@torch.no_grad()
def test_a_slot_depends_on_every_code_and_on_its_place(
    reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]
):
    z = reconstructor(codes, tokens, HINTS, MASKED)
    assert z.shape == (2, 5, D)
    for other in ([codes[0], codes[1] + 1], [codes[0] + 1, codes[1]]):
        assert ((z - reconstructor(other, tokens, HINTS, MASKED)).abs().amax(-1) > 1e-4).all()
    assert ((z[:, :, None] - z[:, None, :]).abs().amax(-1) + torch.eye(5) > 1e-4).all(), "no two places alike"


@torch.no_grad()
def test_the_codes_ask_one_by_one_and_are_summed(reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]):
    together = reconstructor(codes, tokens, HINTS, MASKED)
    alone = [reconstructor([code], tokens, HINTS, MASKED) for code in codes]
    torch.testing.assert_close(together, alone[0] + alone[1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_without_codes_a_slot_asks_with_its_place_alone(reconstructor: Reconstructor, tokens: Tensor):
    nothing = reconstructor([], tokens, HINTS, MASKED)
    torch.testing.assert_close(nothing, reconstructor([torch.zeros(2, D)], tokens, HINTS, MASKED))


@torch.no_grad()
def test_slots_do_not_know_of_each_other(reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]):
    some = torch.tensor([1, 3])
    z = reconstructor(codes, tokens, HINTS, MASKED)
    torch.testing.assert_close(reconstructor(codes, tokens, HINTS, MASKED[:, some]), z[:, some])


def test_a_document_without_hints_knows_its_codes_alone(
    reconstructor: Reconstructor, tokens: Tensor, codes: list[Tensor]
):
    hints = HINTS.clone()
    hints[0] = False
    codes = [code.requires_grad_() for code in codes]
    z = reconstructor(codes, tokens, hints, MASKED)
    other = reconstructor(codes, (tokens + 1) % V, hints, MASKED)
    assert z.isfinite().all()
    assert torch.equal(z[0], other[0])
    assert not torch.equal(z[1], other[1])
    z.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in reconstructor.parameters())
    assert codes[0].grad.isfinite().all()


@torch.no_grad()
def test_candidates_give_the_slice_of_all_logits(reconstructor: Reconstructor):
    z, candidates = torch.randn(9, D), torch.tensor([29, 3, 7])
    everything = reconstructor.token_logits(z)
    assert everything.shape == (9, V)
    torch.testing.assert_close(reconstructor.token_logits(z, candidates), everything[:, candidates])


@torch.no_grad()
def test_logits_are_made_of_the_output_weights(reconstructor: Reconstructor):
    z = torch.randn(9, D)
    weight, bias = reconstructor.output_weights()
    assert weight.square().mean().sqrt().item() == pytest.approx(D**-0.5, rel=1e-4)
    torch.testing.assert_close(reconstructor.token_logits(z), reconstructor.out_norm(z) @ weight.T + bias)


@torch.no_grad()
def test_the_start_knows_how_common_tokens_are():
    reconstructor = Reconstructor(torch.randn(3, D), layers=1, max_tokens=4, dropout=0.0)
    reconstructor.start_from_frequencies(torch.tensor([0.0, 1.0, 4.0]))
    assert reconstructor.bias.exp().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_the_vocabulary_does_not_learn(reconstructor: Reconstructor):
    assert "vocabulary" not in dict(reconstructor.named_parameters())
    assert not reconstructor.output_weights()[0].requires_grad
