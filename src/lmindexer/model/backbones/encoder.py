"""A model that only reads, such as BERT, or a frozen causal one, with a small decoder of ours on top."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lmindexer.model.backbones.encoding import EncodingBackbone
from lmindexer.model.backbones.memory import Memory
from lmindexer.model.decoder import SmallDecoder


class EncoderBackbone(EncodingBackbone):
    """The encoder may be held in bfloat16 as long as nothing of it learns; the decoder never is."""

    def __init__(self, model: Any, tokenizer: Any, decoder: SmallDecoder, dropout: float = 0.1) -> None:
        super().__init__(model, tokenizer, dropout)
        self.small_decoder = decoder
        self.set_dropout(dropout)

    @property
    def encoder(self) -> Any:
        return self.model

    @property
    def decoder(self) -> nn.Module:
        return self.small_decoder

    def learns_with(self, encoder: str) -> bool:
        return encoder != "frozen"

    def decode(self, memory: Memory, inputs: Tensor) -> Tensor:
        return self.small_decoder(memory.states, memory.mask, memory.weight, inputs)

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        reading, small = self.small_decoder.read(memory.states, memory.mask, memory.weight), self.small_decoder
        return lambda inputs: small.answer(reading, inputs, only_last=True)
