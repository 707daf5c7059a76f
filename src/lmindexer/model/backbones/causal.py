"""A causal model that learns, such as Qwen or Llama: one stack reads a document and goes on to its ID."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lmindexer.model.backbones.base import Backbone
from lmindexer.model.backbones.memory import Memory
from lmindexer.model.decoder import unit_rms

KEPT = 16  # positions that a document leaves for an ID


class CausalBackbone(Backbone):
    """Tokens of the document, start vector and code vectors are one sequence.

    The document's tokens do not see the ID, so their keys and values are computed once (`remember`) and every step of
    every sequence looks at them. Padding is masked and takes no position. Nothing of a document can be kept while the
    model learns, whatever learns of it: the ID's vectors pass all layers, and in each look at the document's keys and
    values, which for a corpus are too many to keep.

    With the encoder 'frozen' the stack stands still: start vector, code vectors and what reads histories learn.
    """

    scale: Tensor  # (): the size of token embeddings, which vectors get before they are read

    def __init__(self, model: Any, tokenizer: Any, dropout: float = 0.1) -> None:
        super().__init__(model, tokenizer, dropout)
        embeddings, rows = model.get_input_embeddings(), len(self.vocabulary)
        with torch.no_grad():
            some = embeddings(torch.arange(0, rows, max(rows // 1024, 1)))
        self.register_buffer("scale", some.square().mean().sqrt())
        self.set_dropout(dropout)

    @property
    def encoder(self) -> Any:
        return self.model

    @property
    def decoder(self) -> nn.Module:
        stack: nn.Module = self.model
        return stack

    @property
    def layers(self) -> nn.ModuleList | None:
        found = [getattr(self.model, name, None) for name in ("layers", "h")]
        return next((layers for layers in found if isinstance(layers, nn.ModuleList)), None)

    @property
    def longest(self) -> int:
        """So many that a sliding window, where the model has one, reaches all of them."""
        window = getattr(self.model.config, "sliding_window", None) or super().longest
        return min(super().longest, int(window)) - KEPT

    @property
    def caches(self) -> bool:
        return False

    @property
    def looks_differ(self) -> bool:
        frozen = self.cut is not None and self.cut == len(self.layers or ())
        return self.training and self.dropout > 0 and not frozen

    def learns_with(self, encoder: str) -> bool:
        return encoder != "frozen"

    def train(self, mode: bool = True) -> "CausalBackbone":
        """As of any module, but what is frozen stays without dropout."""
        super().train(mode)
        if self.cut is not None:
            self.model.eval()
            for layer in (self.layers or ())[self.cut :]:
                layer.train(mode)
        return self

    def frozen_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        raise ValueError("a causal model that decodes keeps nothing; call remember(tokens, mask)")

    def remember(self, tokens: Tensor, mask: Tensor, states: Tensor | None = None) -> Memory:
        keys_values, states = self._read(mask, input_ids=tokens)
        return Memory(states, mask, self.weight_of(tokens, mask), keys_values)

    def decode(self, memory: Memory, inputs: Tensor) -> Tensor:
        cache, mask = self._repeated(self._with_keys(memory), len(inputs) // len(memory.states))
        return self._go_on(cache, mask, inputs)

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        memory = self._with_keys(memory)
        wide: dict[int, tuple[Any, Tensor]] = {}  # repeated for V sequences each; V changes once in a search

        def read(inputs: Tensor) -> Tensor:
            V = len(inputs) // len(memory.states)
            if V not in wide:
                wide.clear()
                wide[V] = self._repeated(memory, V)
            cache, mask = wide[V]
            last = self._go_on(cache, mask, inputs)[:, -1:]
            cache.crop(-inputs.shape[1])  # back to the document
            return last

        return read

    def _with_keys(self, memory: Memory) -> Memory:
        """The same with keys and values; where its states are vectors that no stack has read, they are read here."""
        if memory.keys_values:
            return memory
        vectors = unit_rms(memory.states) * self.scale
        return replace(memory, keys_values=self._read(memory.mask, inputs_embeds=vectors)[0])

    def _read(self, mask: Tensor, **document: Tensor) -> tuple[Sequence[tuple[Tensor, Tensor]], Tensor]:
        """Keys and values of every layer, and the last one's states (B, L, D)."""
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        places = (mask.cumsum(1) - 1).clamp_min(0)
        states = self._run(cache, attention_mask=mask, position_ids=places, **document)
        return [(layer.keys, layer.values) for layer in cache.layers], states

    def _repeated(self, memory: Memory, V: int) -> tuple[Any, Tensor]:
        """A cache with V copies of each document, side by side, and their mask (B * V, L)."""
        from transformers import DynamicCache

        keys_values = [(k.repeat_interleave(V, 0), v.repeat_interleave(V, 0)) for k, v in memory.keys_values]
        return DynamicCache(keys_values), memory.mask.repeat_interleave(V, 0)

    def _go_on(self, cache: Any, mask: Tensor, inputs: Tensor) -> Tensor:
        """States (B, S, D) of inputs (B, S, D) that stand behind the documents (B, L) in the cache, which grows."""
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        return self._run(
            cache,
            inputs_embeds=inputs * self.scale,
            attention_mask=torch.cat([mask, mask.new_ones(inputs.shape[:2])], 1),
            position_ids=mask.sum(1, keepdim=True) + steps,
        )

    def _run(self, cache: Any, **inputs: Tensor) -> Tensor:
        states: Tensor = self.model(past_key_values=cache, use_cache=True, **inputs).last_hidden_state
        return states
