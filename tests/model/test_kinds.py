"""What is no backbone is refused in one sentence that names what is."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lmindexer.errors import InputError
from lmindexer.model.backbone import load_backbone
from tiny import WIDTH

SMALL = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
KINDS = r"use 'bundled', an encoder such as BERT, RoBERTa or MPNet, or a seq2seq model such as T5, mT5 or BART"
ADAPTED = {"num_key_value_heads": 2, "vocab_size": 120}


def folder_of(model: Any, tokenizer: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def refusal(folder: str) -> str:
    with pytest.raises(InputError) as error:
        load_backbone(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "bert"])
def test_a_causal_model_is_refused(kind: str, tokenizer: Any, tmp_path: Path):
    import transformers as hf

    models = {
        "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=120, n_embd=WIDTH, n_layer=1, n_head=2)),
        "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL, **ADAPTED)),
        "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL, **ADAPTED)),
        "bert": lambda: hf.BertLMHeadModel(hf.BertConfig(**SMALL, vocab_size=120, is_decoder=True)),
    }
    name = folder_of(models[kind](), tokenizer, tmp_path / "model")
    assert refusal(name) == (
        f"the model {name!r} ({kind}) is a causal language model, as GPT-2, Llama and Qwen are, which is not "
        f"supported yet; {KINDS}"
    )


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("whisper", "is an encoder-decoder model of something else than text"),
        ("vision-encoder-decoder", "is an encoder-decoder model of something else than text"),
        ("seamless_m4t", "is an encoder-decoder model of something else than text"),
        ("vit", "is not a model that reads text alone"),
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


@pytest.mark.parametrize("name", ["t5", "mt5", "bart", "pair", "bert", "roberta", "distilbert"])
def test_a_folder_without_a_tokenizer_is_refused(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    """transformers makes one up: T5's of four pieces and a hundred sentinels."""
    folder = shutil.copytree(checkpoints[name], tmp_path / "model", ignore=shutil.ignore_patterns("*token*"))
    assert "it has no tokenizer" in refusal(str(folder))


def test_a_tokenizer_that_needs_a_package_is_refused(checkpoints: dict[str, Path], tmp_path: Path):
    folder = Path(shutil.copytree(checkpoints["t5"], tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"no pieces")
    refusal(str(folder))
