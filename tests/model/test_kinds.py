"""What is no backbone is refused in one sentence that names what is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lmindexer.errors import InputError
from lmindexer.model.backbone import load_backbone
from tiny import WIDTH

SMALL = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
KINDS = (
    "use 'bundled', an encoder such as BERT, RoBERTa or MPNet, a seq2seq model such as T5, mT5 or BART, or a causal "
    "model such as Qwen, Llama or Mistral"
)
ADAPTED = {"num_key_value_heads": 2, "vocab_size": 120}


def folder_of(model: Any, tokenizer: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def refusal(folder: str, encoder: str = "frozen") -> str:
    with pytest.raises(InputError) as error:
        load_backbone(folder, encoder=encoder)
    assert "\n" not in str(error.value)
    return str(error.value)


MADE: dict[str, Callable[[Any], Any]] = {
    "gpt2": lambda hf: hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=120, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=64)
    ),
    "mistral": lambda hf: hf.MistralForCausalLM(hf.MistralConfig(**SMALL, **ADAPTED, sliding_window=24)),
    "qwen3": lambda hf: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SMALL, **ADAPTED, head_dim=24)),
    "gemma2": lambda hf: hf.Gemma2ForCausalLM(hf.Gemma2Config(**SMALL, **ADAPTED, head_dim=16, sliding_window=24)),
    "bert": lambda hf: hf.BertLMHeadModel(hf.BertConfig(**SMALL, vocab_size=120, is_decoder=True)),
}


@pytest.mark.parametrize("kind", MADE)
@torch.no_grad()
def test_other_causal_models_need_no_code(kind: str, tokenizer: Any, tmp_path: Path):
    import transformers as hf

    name = folder_of(MADE[kind](hf), tokenizer, tmp_path / "model")
    backbone = load_backbone(name, encoder="full")
    assert backbone.is_one_stack
    assert not load_backbone(name).is_one_stack
    L = min(backbone.longest, 40)
    tokens = torch.randint(4, 110, (2, L))
    mask = torch.arange(L) < torch.tensor([[L], [3]])
    memory, inputs = backbone.remember(tokens, mask), torch.randn(2, 4, WIDTH)
    decoded = backbone.decode(memory, inputs)
    alone = backbone.remember(tokens[1:, :3], mask[1:, :3])
    torch.testing.assert_close(backbone.decode(alone, inputs[1:])[0], decoded[1], rtol=1e-4, atol=1e-4)
    read = backbone.reader(memory)
    for step in range(4):
        torch.testing.assert_close(read(inputs[:, : step + 1])[:, 0], decoded[:, step], rtol=1e-4, atol=1e-4)


def test_a_causal_model_without_keys_and_values_reads_and_does_not_decode(tokenizer: Any, tmp_path: Path):
    import transformers as hf

    mamba = hf.MambaForCausalLM(hf.MambaConfig(vocab_size=120, hidden_size=WIDTH, num_hidden_layers=1))
    name = folder_of(mamba, tokenizer, tmp_path / "model")
    assert not load_backbone(name).is_one_stack
    assert refusal(name, "full").endswith(f"); or leave it frozen; {KINDS}")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("whisper", "is an encoder-decoder model of something else than text"),
        ("vision-encoder-decoder", "is an encoder-decoder model of something else than text"),
        ("seamless_m4t", "is an encoder-decoder model of something else than text"),
        ("vit", "is not a model that reads text alone"),
        ("gemma3", "is not a model that reads text alone"),
        ("clip", "is not a model that reads text alone"),
        ("wav2vec2", "is not a model that reads text alone"),
    ],
)
def test_a_model_of_images_or_speech_is_refused_before_its_weights_are_read(
    kind: str, what: str, tokenizer: Any, tmp_path: Path
):
    import transformers as hf

    config = {
        "whisper": hf.WhisperConfig,
        "vit": hf.ViTConfig,
        "gemma3": hf.Gemma3Config,
        "clip": hf.CLIPConfig,
        "wav2vec2": hf.Wav2Vec2Config,
        "seamless_m4t": hf.SeamlessM4TConfig,
        "vision-encoder-decoder": lambda: hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            hf.ViTConfig(), hf.GPT2Config()
        ),
    }[kind]()
    name = folder_of(config, tokenizer, tmp_path / "model")
    assert refusal(name) == f"the model {name!r} ({kind}) {what}; {KINDS}"


def test_embeddings_narrower_than_the_states_are_refused(tokenizer: Any, tmp_path: Path):
    import transformers as hf

    config = hf.AlbertConfig(vocab_size=len(tokenizer), embedding_size=16, **SMALL)
    name = folder_of(hf.AlbertModel(config), tokenizer, tmp_path / "model")
    why = "its token embeddings have 16 numbers and its states 32"
    assert refusal(name) == f"the model {name!r} cannot be used ({why}); {KINDS}"


def test_an_encoder_and_a_decoder_of_two_widths_are_refused(tokenizer: Any, tmp_path: Path):
    import transformers as hf

    narrow = hf.BertConfig(vocab_size=len(tokenizer), **SMALL)
    wide = hf.BertConfig(vocab_size=len(tokenizer), **SMALL | {"hidden_size": 64})
    pair = hf.EncoderDecoderModel(hf.EncoderDecoderConfig.from_encoder_decoder_configs(narrow, wide))
    assert KINDS in refusal(folder_of(pair, tokenizer, tmp_path / "model"))


def test_an_encoder_that_cannot_leave_padding_out_is_refused(tokenizer: Any, tmp_path: Path):
    import transformers as hf

    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1}
    model = hf.FNetModel(hf.FNetConfig(vocab_size=len(tokenizer), **sizes))
    assert "depends on the padding behind it" in refusal(folder_of(model, tokenizer, tmp_path / "model"))


@pytest.mark.parametrize("name", ["t5", "mt5", "bart", "pair", "bert", "roberta", "distilbert", "qwen2"])
def test_a_folder_without_a_tokenizer_is_refused(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    """transformers makes one up: T5's of four pieces and a hundred sentinels."""
    folder = shutil.copytree(checkpoints[name], tmp_path / "model", ignore=shutil.ignore_patterns("*token*"))
    assert "it has no tokenizer" in refusal(str(folder))


def test_a_tokenizer_that_needs_a_package_is_refused(checkpoints: dict[str, Path], tmp_path: Path):
    folder = Path(shutil.copytree(checkpoints["t5"], tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"no pieces")
    refusal(str(folder))
