"""A seq2seq model as it is: T5, mT5, BART, or an EncoderDecoder pair."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lmindexer.model.backbones.encoding import EncodingBackbone
from lmindexer.model.backbones.memory import Memory


class Seq2SeqBackbone(EncodingBackbone):
    """Its own decoder gives the IDs, and always learns: it was trained to give words."""

    def __init__(self, model: Any, tokenizer: Any, dropout: float = 0.1) -> None:
        super().__init__(model, tokenizer, dropout)
        self.set_dropout(dropout)

    @property
    def encoder(self) -> Any:
        return self.model.get_encoder()

    @property
    def decoder(self) -> nn.Module:
        decoder: nn.Module = self.model.get_decoder()
        return decoder

    def learns_with(self, encoder: str) -> bool:
        return True

    def decode(self, memory: Memory, inputs: Tensor) -> Tensor:
        V = len(inputs) // len(memory.states)
        output = self._decoder()(
            inputs_embeds=inputs,
            encoder_hidden_states=memory.states.repeat_interleave(V, 0),
            encoder_attention_mask=memory.mask.repeat_interleave(V, 0),
            use_cache=False,
        )
        states: Tensor = output.last_hidden_state
        return states

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        from transformers import DynamicCache, EncoderDecoderCache

        decoder = self._decoder()
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
                repeated = [
                    (keys.repeat_interleave(V, 0), values.repeat_interleave(V, 0)) for keys, values in keys_values
                ]
                states, mask = memory.states.repeat_interleave(V, 0), memory.mask.repeat_interleave(V, 0)
                wide[V] = DynamicCache(repeated), states, mask
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
            last: Tensor = output.last_hidden_state[:, -1:]
            return last

        return read

    def _decoder(self) -> Any:
        """The decoder without a head for words, where it has one inside (a pair of BERTs)."""
        decoder: Any = self.decoder
        return getattr(decoder, "base_model", decoder)
