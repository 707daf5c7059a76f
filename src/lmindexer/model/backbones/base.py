"""The face of every backbone: what the rest of the package may ask of a pretrained language model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.model.backbones.memory import Memory
from lmindexer.model.cut import layers_of
from lmindexer.model.decoder import pool
from lmindexer.model.published import POOLING_FILE, usual_pooling
from lmindexer.model.texts import TextReader
from lmindexer.model.words import telling_tokens


class Backbone(nn.Module, ABC):
    """What reads, what decodes, tokenizer and token embeddings of one pretrained model.

    An adapter says how a text is read and an ID decoded. `cut` is the number of layers that do not learn, counted from
    the first; `None` means that all learn.
    """

    model: Any  # transformers' own classes are typed too loosely to help
    special: Tensor  # (V,) bool: padding, separators, ...
    token_weight: Tensor  # (V,) weight in pooling and in rebuilding

    def __init__(self, model: Any, tokenizer: Any, dropout: float) -> None:
        super().__init__()
        self.model, self.tokenizer, self.dropout = model, tokenizer, dropout
        self.dim = int(self.vocabulary.shape[1])
        self.pad_id = self._pad_id()
        special = torch.zeros(len(self.vocabulary), dtype=torch.bool)
        self.special_ids = tuple(i for i in tokenizer.all_special_ids if i < len(special))  # the same, on the host
        special[list(self.special_ids)] = True
        self.register_buffer("special", special, persistent=False)  # (V,)
        self.register_buffer("token_weight", torch.ones(len(self.vocabulary)))  # (V,)
        self.cut: int | None = None
        self.pooling = usual_pooling(model.config)  # 'mean', 'cls' or 'lasttoken': a text's embedding by its makers

    @property
    @abstractmethod
    def encoder(self) -> Any:
        """The module that reads texts."""

    @property
    @abstractmethod
    def decoder(self) -> nn.Module:
        """The module that decodes IDs."""

    @property
    def is_one_stack(self) -> bool:
        """Whether what reads is what decodes."""
        return self.encoder is self.decoder

    @property
    @abstractmethod
    def caches(self) -> bool:
        """Whether something of what is read can be kept for good: the output of a part that does not learn."""

    @property
    @abstractmethod
    def looks_differ(self) -> bool:
        """Whether it says something else of a text each time: some of what reads learns, with dropout."""

    @abstractmethod
    def learns_with(self, encoder: str) -> bool:
        """Whether any of the pretrained weights learn where so much of the encoder does."""

    @abstractmethod
    def frozen_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Output (B, L, D) of the part that does not learn. Raises ValueError where nothing can be kept."""

    @abstractmethod
    def remember(self, tokens: Tensor, mask: Tensor, states: Tensor | None = None) -> Memory:
        """The Memory of tokens (B, L); `states` are `frozen_states` of them where cached."""

    @abstractmethod
    def decode(self, memory: Memory, inputs: Tensor) -> Tensor:
        """Decoder states (B * V, S, D) for input vectors (B * V, S, D), each step seeing the ones before it.

        A document may have V sequences, side by side.
        """

    @abstractmethod
    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        """The last step (B * V, 1, D) of `decode` of one memory, for inputs after inputs.

        Keys and values of the documents are computed once, here, not for each of their V sequences and steps.
        """

    @property
    def longest(self) -> int:
        """How many tokens the encoder reads at most; without a limit where positions are relative (T5)."""
        positions = getattr(self.encoder.config, "max_position_embeddings", 10**9)
        table = getattr(getattr(self.encoder, "embeddings", None), "position_embeddings", None)
        before = getattr(table, "padding_idx", None)  # RoBERTa and MPNet count from behind it
        return int(positions) - (0 if before is None else before + 1)

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

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, whether the encoder reads them all or not."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def freeze(self, encoder: str, top_layers: int) -> None:
        """Choose what of the encoder learns: 'frozen', 'top' (the last `top_layers`), 'full' or 'auto' (full).

        Where any of the pretrained weights learn, all are held in single precision: steps of a learning rate such as
        5e-5 are lost in the rounding of bfloat16, and a float32 copy beside it takes as much as float32 alone.
        """
        learns = encoder in ("full", "auto")
        if encoder == "top" and self.layers is None:
            raise InputError("this backbone's encoder has no list of layers to cut; use --encoder frozen or full")
        self.encoder.requires_grad_(learns)
        layers = self.layers if self.layers is not None else ()
        learning = top_layers if encoder == "top" else 0
        self.cut = None if learns else max(len(layers) - learning, 0)
        for layer in layers[self.cut :] if self.cut is not None else ():
            layer.requires_grad_(True)
        if self.learns:
            self.model.float()

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
    def learns(self) -> bool:
        """Whether any of the pretrained weights were set to learn."""
        return any(p.requires_grad for p in self.model.parameters())

    def pretrained(self) -> Iterator[nn.Parameter]:
        """The pretrained weights, which learn at a rate of their own."""
        yield from self.model.parameters()

    def pretrained_names(self, prefix: str) -> frozenset[str]:
        """Names of the pretrained model's tensors in the state of a module that has this backbone at `prefix`."""
        return frozenset(f"{prefix}model.{name}" for name in self.model.state_dict())

    def frozen_names(self, prefix: str) -> frozenset[str]:
        """Those of the pretrained weights that do not learn; tied ones by each of their names."""
        weights = self.model.named_parameters(remove_duplicate=False)
        return frozenset(f"{prefix}model.{name}" for name, p in weights if not p.requires_grad)

    def weight_of(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The weight in pooling of tokens (B, L): one that a document holds several times counts once."""
        same = (tokens[:, :, None] == tokens[:, None, :]) & mask[:, None, :]
        times = same.sum(2).clamp_min(1)  # (B, L): how often the document holds each token
        return self.token_weight[tokens] * mask / times

    def pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (B, D) of texts with encoder states (B, L, D), by the pooling the encoder was trained with."""
        if self.pooling == "lasttoken":
            return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        return states[:, 0] if self.pooling == "cls" else pool(states, mask)

    def weigh_tokens(self, document_frequency: Tensor, exponent: float = 0.35) -> None:
        """Weigh tokens for pooling by how many documents hold them: p^exponent * .2 / (.2 + p).

        Rare tokens (names, model numbers) and those of nearly every document tell little of what a
        document is; the common telling words in between decide. Tokens without letters weigh nothing,
        and a token repeated in a document counts once. Measured in docs/log.md (2026-11-21).
        """
        telling = telling_tokens(self.tokenizer, len(self.vocabulary)) & ~self.special.cpu()
        p = document_frequency.clamp_min(1e-6)
        weight = p**exponent * 0.2 / (0.2 + p) * telling.to(p.device)
        self.token_weight.copy_(weight.clamp_min(1e-6))

    def save(self, folder: Path) -> None:
        """Model and tokenizer as a Hugging Face folder; what is ours of an adapter is saved with the indexer."""
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.model.save_pretrained(folder)
        logging.enable_progress_bar()
        self.tokenizer.save_pretrained(folder)
        if self.pooling != usual_pooling(self.model.config):
            (folder / "1_Pooling").mkdir()
            (folder / POOLING_FILE).write_text(json_text({"pooling_mode": self.pooling}), encoding="utf-8")

    def _pad_id(self) -> int:
        """What fills up short texts: no text holds it where the tokenizer or the model say so."""
        for pad_id in (self.tokenizer.pad_token_id, getattr(self.encoder.config, "pad_token_id", None)):
            if pad_id is not None and 0 <= pad_id < len(self.vocabulary):
                return int(pad_id)
        return 0  # it is never read: the mask leaves it out
