"""Backbones whose encoder reads apart from the decoder, so that what its frozen part says is worth keeping."""

from typing import Any

import torch
from torch import Tensor, nn

from lmindexer.model.backbones.base import Backbone
from lmindexer.model.backbones.memory import Memory
from lmindexer.model.cut import lower_part, upper_part
from lmindexer.model.published import is_causal


class EncodingBackbone(Backbone):
    """The encoder may be cut in two: a frozen lower part, whose output is cached, and an upper part that learns."""

    _parts: tuple[nn.Module, nn.Module | None] | None = None  # views: what is frozen, and what learns
    _call: dict[str, Any]  # what the encoder is called with beside what it reads

    def __init__(self, model: Any, tokenizer: Any, dropout: float) -> None:
        super().__init__(model, tokenizer, dropout)
        self._call = {"use_cache": False} if is_causal(model.config) else {}

    @property
    def caches(self) -> bool:
        return self._parts is not None

    @property
    def looks_differ(self) -> bool:
        frozen = self._parts is not None and self._parts[1] is None
        return self.training and self.dropout > 0 and not frozen

    def freeze(self, encoder: str, top_layers: int) -> None:
        super().freeze(encoder, top_layers)
        self._parts = None if self.cut is None else (self.encoder, None)
        if self.cut is not None and self.layers is not None and self.cut < len(self.layers):
            self._parts = lower_part(self.encoder, self.cut), upper_part(self.encoder, self.cut)

    def train(self, mode: bool = True) -> "EncodingBackbone":
        """As of any module, but what is frozen stays without dropout."""
        super().train(mode)
        if self._parts is not None:
            lower, upper = self._parts
            if upper is not None:
                upper.train(mode)
            lower.eval()
        return self

    def frozen_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        if self._parts is None:
            raise ValueError("nothing is frozen; call remember(tokens, mask)")
        with torch.no_grad():
            return self._parts[0](input_ids=tokens, attention_mask=mask, **self._call).last_hidden_state

    def remember(self, tokens: Tensor, mask: Tensor, states: Tensor | None = None) -> Memory:
        if self._parts is None:
            states = self.encoder(input_ids=tokens, attention_mask=mask, **self._call).last_hidden_state
        else:
            states = self.frozen_states(tokens, mask) if states is None else states
            if self._parts[1] is not None:
                states = self._parts[1](inputs_embeds=states, attention_mask=mask, **self._call).last_hidden_state
        return Memory(states.float(), mask, self.weight_of(tokens, mask))
