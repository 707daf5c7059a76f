"""Causal models: a stack that reads tokens or vectors and goes on to an ID, or frozen below the small decoder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.methods.generative.histories import HistoryMemories
from lmindexer.methods.generative.history import HistoryReader, Items
from lmindexer.model.backbone import Backbone, CausalBackbone, EncoderBackbone, Memory, load_backbone
from lmindexer.model.decoder import unit_rms
from lmindexer.model.semantic_indexer import SemanticIndexer
from tiny import CAUSAL, WIDTH

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(params=CAUSAL)
def stack(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> CausalBackbone:
    backbone = load_backbone(str(checkpoints[request.param]), encoder="full")
    assert isinstance(backbone, CausalBackbone)
    return backbone.eval()


def tokens_of(backbone: Backbone, texts: list[str], left: bool = False) -> tuple[Tensor, Tensor]:
    """Tokens (B, L) and mask (B, L), filled up behind the texts or before them."""
    lists = backbone.tokenize(texts, 32)
    L = max(map(len, lists))
    fill = [[backbone.pad_id] * (L - len(row)) for row in lists]
    tokens = [pad + row if left else row + pad for row, pad in zip(lists, fill, strict=True)]
    mask = torch.arange(L) < torch.tensor([[len(row)] for row in lists])
    return torch.tensor(tokens), mask.flip(1) if left else mask


@torch.no_grad()
def test_document_and_id_are_one_sequence(stack: CausalBackbone, corpus: Corpus):
    """The obvious way: the model itself over the embeddings of both, without padding, cache or positions of ours."""
    inputs = torch.randn(1, 3, WIDTH)
    for text in corpus.texts(range(4)):
        tokens, mask = tokens_of(stack, [text])
        vectors = torch.cat([stack.model.get_input_embeddings()(tokens), inputs * stack.scale], 1)
        whole = stack.model(inputs_embeds=vectors, use_cache=False).last_hidden_state
        memory = stack.remember(tokens, mask)
        torch.testing.assert_close(memory.states, whole[:, :-3], **CLOSE)
        torch.testing.assert_close(stack.decode(memory, inputs), whole[:, -3:], **CLOSE)


@torch.no_grad()
def test_padding_before_a_text_is_as_padding_behind_it(stack: CausalBackbone, corpus: Corpus):
    texts, inputs = sorted(corpus.texts(range(8)), key=len), torch.randn(8, 3, WIDTH)
    behind, before = (stack.remember(*tokens_of(stack, texts, left)) for left in (False, True))
    assert not behind.mask.all()
    torch.testing.assert_close(stack.decode(behind, inputs), stack.decode(before, inputs), **CLOSE)


def test_an_id_is_told_by_every_token_of_its_document(stack: CausalBackbone, corpus: Corpus):
    """So what learns through the ID learns through the document, too."""
    memory = stack.remember(*tokens_of(stack, corpus.texts(range(2))))
    stack.decode(memory, torch.randn(2, 1, WIDTH)).square().sum().backward()
    used = stack.vocabulary.grad
    assert used is not None
    tokens, mask = tokens_of(stack, corpus.texts(range(2)))
    assert (used[tokens[mask]].abs().amax(-1) > 0).all()


@torch.no_grad()
def test_vectors_are_read_where_no_tokens_were(load: Callable[..., Backbone]):
    """Such as the vectors of a history's items, or one of a picture; those behind the last are not read."""
    backbone = load().eval()
    lengths = torch.tensor([[4], [1], [2]])
    mask = torch.arange(4) < lengths
    memory = Memory(torch.randn(3, 4, WIDTH), mask, mask.float())
    inputs = torch.randn(6, 3, WIDTH)
    decoded = backbone.decode(memory, inputs)
    read = backbone.reader(memory)
    for step in range(3):
        torch.testing.assert_close(read(inputs[:, : step + 1])[:, 0], decoded[:, step], **CLOSE)
    for row, length in enumerate(lengths[:, 0].tolist()):
        alone = Memory(memory.states[row : row + 1, :length], mask[row : row + 1, :length], torch.ones(1, length))
        sequences = slice(2 * row, 2 * row + 2)
        torch.testing.assert_close(backbone.decode(alone, inputs[sequences]), decoded[sequences], **CLOSE)


@torch.no_grad()
def test_a_vector_is_read_in_the_size_of_a_tokens(stack: CausalBackbone, corpus: Corpus):
    tokens, mask = tokens_of(stack, corpus.texts(range(3)))
    vectors = stack.model.get_input_embeddings()(tokens)
    inputs = torch.randn(3, 2, WIDTH)
    one, other = (stack.decode(Memory(size * vectors, mask, mask.float()), inputs) for size in (0.5, 100.0))
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
    sizes = stack.model.get_input_embeddings().weight.square().mean().sqrt()
    assert float(stack.scale) == pytest.approx(float(sizes), rel=0.05)
    told = stack.decode(stack.remember(tokens, mask), inputs)
    assert torch.nn.functional.cosine_similarity(unit_rms(one), unit_rms(told), dim=-1).min() > 0.8


def test_what_reads_histories_learns_through_a_stack_that_stands_still(stack: CausalBackbone):
    stack.freeze("frozen", 0)
    model = SemanticIndexer(stack, (5, 3))
    reader = HistoryReader(FinetuneConfig(task="recommend", dim=8), WIDTH, (5, 3), 3)
    torch.nn.init.normal_(reader.widen.weight)
    known = torch.ones(3, dtype=torch.bool)
    items = Items(torch.randn(3, WIDTH).half(), torch.zeros(3, 2, dtype=torch.long), known)
    memory = HistoryMemories.of(reader, items, [[0, 1, 2], [2, 1]]).memory(np.arange(2))
    model(memory, torch.tensor([[1], [4]])).sum().backward()
    for weight in (model.start, model.codebooks[0].weight, reader.widen.weight, reader.codes[0].weight):
        assert weight.grad is not None
        assert weight.grad.any()
    assert all(p.grad is None for p in stack.model.parameters())


@torch.no_grad()
def test_keys_and_values_of_a_document_are_computed_once(
    stack: CausalBackbone, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    memory = stack.remember(*tokens_of(stack, corpus.texts(range(3))))
    seen: list[int] = []
    forward = stack.model.forward

    def count(*args: object, **inputs: Tensor) -> object:
        seen.append(inputs["inputs_embeds"].shape[1])
        return forward(*args, **inputs)

    monkeypatch.setattr(stack.model, "forward", count)
    read = stack.reader(memory)
    for steps in (1, 2, 3):
        read(torch.randn(12, steps, WIDTH))
    assert seen == [1, 2, 3], "the document's tokens are in none of them"


@pytest.mark.parametrize("name", CAUSAL)
def test_a_text_is_its_last_token_where_its_makers_say_nothing(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    backbone = load_backbone(str(checkpoints[name]))
    states, mask = torch.randn(2, 3, WIDTH), torch.tensor([[True, True, False], [True, True, True]])
    assert torch.equal(backbone.pooled(states, mask), torch.stack([states[0, 1], states[1, 2]]))
    backbone.pooling = "mean"
    backbone.save(tmp_path / "saved")
    assert load_backbone(str(tmp_path / "saved")).pooling == "mean"


@torch.no_grad()
def test_an_empty_text_is_its_end(load: Callable[..., Backbone]):
    backbone = load().eval()
    assert all(backbone.tokenize([""], 8))
    ((whole,),) = backbone.texts.pieces([""], 8)
    assert whole == backbone.tokenize([""], 8)[0]
    tokens, mask = tokens_of(backbone, ["", "the rose"])
    assert backbone.decode(backbone.remember(tokens, mask), torch.zeros(2, 1, WIDTH)).isfinite().all()


def test_a_document_leaves_positions_for_its_id(checkpoints: dict[str, Path]):
    assert load_backbone(str(checkpoints["llama"])).longest == 80
    assert load_backbone(str(checkpoints["llama"]), encoder="top").longest == 80 - 16


@pytest.mark.parametrize("name", ["bert", "qwen2", "bundled"])
@torch.no_grad()
def test_what_does_not_learn_may_be_held_in_bfloat16(name: str, checkpoints: dict[str, Path], corpus: Corpus):
    where = str(checkpoints.get(name, name))
    whole, half = load_backbone(where).eval(), load_backbone(where, held="bf16").eval()
    assert isinstance(half, EncoderBackbone)
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in half.small_decoder.parameters()} == {torch.float32}
    one, other = (b.remember(*tokens_of(b, corpus.texts(range(6)))) for b in (whole, half))
    assert other.states.dtype == torch.float32
    assert 0 < (one.states - other.states).norm() < 0.05 * one.states.norm()
    half.freeze("frozen", 0)
    assert half.vocabulary.dtype == torch.bfloat16
    half.freeze("top", 1)
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}, "steps are lost in rounding"


@pytest.mark.parametrize("part", ["top", "full"])
def test_a_causal_checkpoint_in_bfloat16_learns_in_single_precision(part: str, checkpoints: dict[str, Path]):
    backbone = load_backbone(str(checkpoints["qwen2"]), encoder=part, held="bf16")
    assert {p.dtype for p in backbone.model.parameters()} == {torch.float32}
