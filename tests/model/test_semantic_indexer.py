"""Eq. 1: all positions in one pass, none looking ahead; the greedy ID of a new document."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus
from lmindexer.model.backbone import Backbone, EncoderBackbone, Memory, load_backbone
from lmindexer.model.decoder import SmallDecoder, drop, pool, unit_rms
from lmindexer.model.semantic_indexer import SemanticIndexer

SIZES = (5, 7, 3)


@pytest.fixture
def indexer(load: Callable[..., Backbone]) -> SemanticIndexer:
    torch.manual_seed(1)
    indexer = SemanticIndexer(load(), SIZES)
    with torch.no_grad():
        indexer.start.normal_()
        indexer.centre.normal_(std=0.1)
        for t in range(1, len(SIZES)):
            indexer.shift(t).normal_(std=0.1)
        if isinstance(indexer.backbone, EncoderBackbone):
            for p in indexer.backbone.small_decoder.parameters():
                p.normal_(std=0.2)
    return indexer.eval()


def remember(indexer: SemanticIndexer, texts: list[str]) -> Memory:
    lists = indexer.backbone.tokenize(texts, 32)
    L = max(map(len, lists))
    tokens = torch.tensor([row + [indexer.backbone.pad_id] * (L - len(row)) for row in lists])
    return indexer.backbone.remember(tokens, torch.arange(L) < torch.tensor([[len(row)] for row in lists]))


@torch.no_grad()
def test_every_position_has_length_root_d(indexer: SemanticIndexer, corpus: Corpus):
    memory = remember(indexer, corpus.texts(range(6)))
    assert indexer.sizes == SIZES
    for t in range(len(SIZES)):
        hidden = indexer(memory, torch.randint(3, (6, t)))
        assert hidden.shape == (6, t + 1, 32)
        torch.testing.assert_close(hidden.norm(dim=-1), torch.full((6, t + 1), 32**0.5), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_position_knows_the_codes_before_it_and_none_after(indexer: SemanticIndexer, corpus: Corpus):
    memory = remember(indexer, corpus.texts(range(4)))
    prefix, other = torch.tensor([[1, 2]] * 4), torch.tensor([[1, 3]] * 4)
    one, two = indexer(memory, prefix), indexer(memory, other)
    torch.testing.assert_close(one[:, :2], two[:, :2])
    torch.testing.assert_close(one[:, :2], indexer(memory, prefix[:, :1]))
    assert ((one - two)[:, 2].abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_generating_is_one_position_after_another(indexer: SemanticIndexer, corpus: Corpus):
    memory = remember(indexer, corpus.texts(range(8)))
    codes = torch.empty(8, 0, dtype=torch.long)
    for t in range(len(SIZES)):
        best = indexer.codebooks[t].logits(indexer(memory, codes)[:, t]).argmax(-1)
        codes = torch.cat([codes, best[:, None]], dim=1)
    generated = indexer.generate(memory)
    assert torch.equal(generated, codes)
    assert (generated < torch.tensor(SIZES)).all()


@torch.no_grad()
def test_a_documents_states_do_not_depend_on_its_batch(indexer: SemanticIndexer, corpus: Corpus):
    texts = sorted(corpus.texts(range(8)), key=len)
    prefix = torch.randint(3, (8, 2))
    together = indexer(remember(indexer, texts), prefix)
    for row, text in enumerate(texts):
        alone = indexer(remember(indexer, [text]), prefix[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-4)


def test_inputs_are_a_start_vector_then_the_codes(indexer: SemanticIndexer):
    prefix = torch.tensor([[4, 6], [0, 1]])
    inputs = indexer.inputs(prefix)
    assert torch.equal(
        inputs[0],
        torch.stack([indexer.start, *(b.weight[c] for b, c in zip(indexer.codebooks, (4, 6), strict=False))]),
    )
    first, second = indexer.code_vectors(prefix)
    assert torch.equal(first, indexer.codebooks[0].weight[[4, 0]])
    assert torch.equal(second, indexer.codebooks[1].weight[[6, 1]])


@torch.no_grad()
def test_save_then_load_changes_nothing(indexer: SemanticIndexer, corpus: Corpus, tmp_path: Path):
    indexer.backbone.weigh_tokens(torch.rand(len(indexer.backbone.vocabulary)))
    indexer.backbone.save(tmp_path / "backbone")
    torch.manual_seed(9)
    encoder = "full" if indexer.backbone.is_one_stack else "frozen"
    loaded = SemanticIndexer(load_backbone(str(tmp_path / "backbone"), encoder=encoder), SIZES).eval()
    loaded.load_state_dict(indexer.state_dict())
    texts = corpus.texts(range(8))
    prefix = torch.randint(3, (8, 2))
    assert torch.equal(loaded(remember(loaded, texts), prefix), indexer(remember(indexer, texts), prefix))
    assert torch.equal(loaded.generate(remember(loaded, texts)), indexer.generate(remember(indexer, texts)))


@torch.no_grad()
def test_weights_of_the_time_before_shifts_are_read(checkpoints: dict[str, Path]):
    indexer = SemanticIndexer(load_backbone(str(checkpoints["bert"])), SIZES)
    tensors = {name: x for name, x in indexer.state_dict().items() if "shift" not in name}
    indexer.shift(1).normal_()
    indexer.load_state_dict(tensors)
    assert not indexer.shift(1).any()


@pytest.mark.parametrize("name", ["bert", "bundled"])
@torch.no_grad()
def test_an_untrained_small_decoder_says_the_centred_pooled_vector(
    name: str, checkpoints: dict[str, Path], corpus: Corpus
):
    backbone = load_backbone(str(checkpoints.get(name, name)))
    indexer = SemanticIndexer(backbone, SIZES).eval()
    memory = remember(indexer, corpus.texts(range(12)))
    pooled = unit_rms(pool(memory.states, memory.weight))
    indexer.centre[0] = pooled.mean(0)
    h = indexer(memory, torch.empty(12, 0, dtype=torch.long))[:, 0]
    cosine = F.cosine_similarity(h, pooled - pooled.mean(0))
    torch.testing.assert_close(cosine, torch.ones(12), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_an_untrained_small_decoder_takes_off_all_codes_so_far():
    decoder = SmallDecoder(8, layers=2, heads=2, dropout=0.0)
    states, inputs = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    said = decoder(states, torch.ones(3, 5, dtype=torch.bool), torch.ones(3, 5), inputs)
    for step in range(4):
        expected = unit_rms(states.mean(1)) - 0.8 * inputs[:, : step + 1].sum(1)
        torch.testing.assert_close(said[:, step], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sequences", [1, 3])
def test_a_glance_finds_what_keys_and_values_find(sequences: int):
    torch.manual_seed(0)
    decoder = SmallDecoder(32, layers=2, heads=2, dropout=0.0)
    with torch.no_grad():
        for parameter in decoder.parameters():  # biases and the last projections, too, start at zero
            parameter.add_(torch.randn_like(parameter) * 0.1)
    states, mask = torch.randn(4, 7, 32, requires_grad=True), torch.arange(7) < torch.tensor([[7], [3], [1], [5]])
    inputs = torch.randn(4 * sequences, 2, 32)
    found = []
    for look in (decoder.read, decoder.glance):
        decoder.zero_grad()
        states.grad = None
        hidden = decoder.answer(look(states, mask, mask.float()), inputs)
        hidden.square().sum().backward()
        found.append(
            [hidden, states.grad, decoder.layers[1].norm_states.weight.grad, decoder.layers[0].key_value.weight.grad]
        )
    for by_keys, by_glance in zip(*found, strict=True):
        torch.testing.assert_close(by_glance, by_keys, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(share: float):
    torch.manual_seed(0)
    x = torch.ones(3, 100_001, requires_grad=True)
    dropped = drop(x, share)
    dropped.sum().backward()
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.005)
    torch.testing.assert_close(dropped[dropped > 0].unique(), torch.tensor([1 / (1 - share)]))
    assert torch.equal(x.grad, dropped)
    neighbours = (dropped[:, 1:] == 0) & (dropped[:, :-1] == 0)  # of one another they know nothing
    assert neighbours.float().mean().item() == pytest.approx(share**2, abs=0.005)


def test_few_queries_glance_and_many_read(monkeypatch: pytest.MonkeyPatch):
    decoder, ways = SmallDecoder(32, layers=1, heads=2, dropout=0.0), []
    for way in ("read", "glance"):
        method = getattr(decoder, way)
        monkeypatch.setattr(decoder, way, lambda *memory, way=way, method=method: ways.append(way) or method(*memory))
    states, mask = torch.randn(2, 3, 32), torch.ones(2, 3, dtype=torch.bool)
    for sequences in (1, 7, 8):  # of two steps: 2, 14 and 16 queries a document, and 16 numbers a head
        decoder(states, mask, mask.float(), torch.zeros(2 * sequences, 2, 32))
    assert ways == ["glance", "glance", "read"]


def test_pooling_by_hand():
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    assert pool(states, torch.tensor([[1.0, 3.0, 0.0]])).tolist() == [[0.25, 0.75]]
    assert unit_rms(torch.tensor([3.0, 4.0])).norm().item() == pytest.approx(2**0.5)
