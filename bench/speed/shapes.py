"""Random models of the published shapes, and documents of random words for them: time does not depend on weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.corpus.documents import Corpus, Document


@dataclass(frozen=True)
class Shape:
    """What a T5 takes of memory and arithmetic."""

    dim: int  # D
    feed_forward: int
    heads: int
    layers: int  # of the encoder, and of the decoder
    rows: int = 32_128  # V, of which the last 28 are no token, as the published ones have
    head_dim: int = 64

    @property
    def inner(self) -> int:
        return self.heads * self.head_dim


SHAPES = {
    "tiny": Shape(64, 128, 1, 2, rows=1_028),
    "t5-small": Shape(512, 2048, 8, 6),
    "t5-base": Shape(768, 3072, 12, 12),
}


def save_t5(shape: Shape, folder: Path) -> Path:
    """A T5 of this shape with random weights and a tokenizer of whole words, as a Hugging Face folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {_word(n): n for n in range(3, shape.rows - 28)}
    tokens = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokens.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    settings: dict[str, Any] = {"d_model": shape.dim, "d_kv": shape.head_dim, "d_ff": shape.feed_forward}
    settings |= {"num_layers": shape.layers, "num_decoder_layers": shape.layers, "num_heads": shape.heads}
    torch.manual_seed(0)
    T5ForConditionalGeneration(T5Config(vocab_size=shape.rows, decoder_start_token_id=0, **settings)).save_pretrained(
        folder
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def documents_of(shape: Shape, documents: int, tokens: int) -> Corpus:
    """Documents of so many tokens each, the end of a text counted; words are as unevenly common as in a language."""
    dice = np.random.default_rng(0)
    share = 1 / np.arange(10, shape.rows - 28 + 7)
    words = dice.choice(np.arange(3, shape.rows - 28), size=(documents, tokens - 1), p=share / share.sum())
    return Corpus.from_documents(Document(f"d{row}", " ".join(map(_word, ids))) for row, ids in enumerate(words))


def _word(token: int) -> str:
    return f"w{token}"
