"""The network that writes n-grams: P(next token | what is asked, the n-gram so far) over the documents' tokens."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.learn.losses import reconstruction_loss
from lmindexer.methods.seal.index import END, NgramIndex
from lmindexer.model.backbone import Backbone, EncoderBackbone, Memory, Seq2SeqBackbone
from lmindexer.model.decoder import unit_rms

PUBLISHED_HEAD = ("t5", "mt5", "bart")  # kinds of models whose own layer for words is one product


class NgramWriter(nn.Module):
    """A backbone that decodes tokens; a published seq2seq model with its own embeddings and its own layer for words.

    Any other has token embeddings for both, scaled to a root mean square of 1, and a layer norm and biases of ours. The
    softmax is over the tokens that the documents of an index hold, for no other can be generated.
    """

    def __init__(self, backbone: Backbone, length: int) -> None:
        """For n-grams of at most `length` tokens."""
        super().__init__()
        V, D = backbone.vocabulary.shape
        self.backbone = backbone
        self.start = nn.Parameter(self._published_start())
        self.register_buffer("scale", backbone.vocabulary.detach().float().square().mean().rsqrt())
        if isinstance(backbone, EncoderBackbone):
            self.places = nn.Parameter(torch.randn(length, D) * 0.02)
        if not self._has_head:
            self.norm = nn.LayerNorm(D)
            self.bias = nn.Parameter(torch.zeros(V))

    def states(self, memory: Memory, prefix: Tensor) -> Tensor:
        """Decoder states (B, t + 1, D) of prefixes (B, t) of token ids: state s says what comes s-th."""
        return self.backbone.decode(memory, self.inputs(prefix))

    def reader(self, memory: Memory) -> Callable[[Tensor], Tensor]:
        """From prefixes (B * V, t) to the last of their `states` (B * V, D), for prefix after prefix."""
        last = self.backbone.reader(memory)
        return lambda prefix: last(self.inputs(prefix))[:, 0]

    def inputs(self, prefix: Tensor) -> Tensor:
        """The decoder's input (B, t + 1, D): a start vector, then the vectors of the tokens so far.

        The small decoder begins step s at what was read less the sum of the inputs up to s. It is given differences, so
        that this sum is the vector of the last token and of its place.
        """
        start = self.start.expand(len(prefix), 1, -1)
        if isinstance(self.backbone, Seq2SeqBackbone):
            return torch.cat([start, self.backbone.decoder.get_input_embeddings()(prefix)], 1)  # type: ignore[operator]
        vectors = torch.cat([start, unit_rms(self.backbone.vocabulary[prefix])], 1)
        if not isinstance(self.backbone, EncoderBackbone):
            return vectors
        vectors = vectors + self.places[: vectors.shape[1]]
        return torch.cat([vectors[:, :1], vectors[:, 1:] - vectors[:, :-1]], 1)

    def directions(self, states: Tensor) -> Tensor:
        """What of states (..., D) is compared with the vectors of tokens."""
        if not self._has_head:
            return self.norm(states)
        scaled = getattr(self.backbone.model.config, "scale_decoder_outputs", False)
        return states * states.shape[-1] ** -0.5 if scaled else states

    def token_vectors(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors (C, D) that directions are compared with, and the biases (C,), of these tokens."""
        if not self._has_head:
            scale = self.scale * self.backbone.dim**-0.5
            return self.backbone.vocabulary[token_ids].float() * scale, self.bias[token_ids]
        head = self.backbone.model.get_output_embeddings()
        bias = getattr(self.backbone.model, "final_logits_bias", None)
        zeros = head.weight.new_zeros(len(token_ids))
        return head.weight[token_ids], zeros if bias is None else bias[0, token_ids]

    def loss(self, memory: Memory, ngrams: Tensor, weight: Tensor, token_ids: Tensor) -> Tensor:
        """-log P of a token, a weighted mean over the tokens of n-grams (B, S) of token numbers, in nats.

        `weight` (B,) is that of the pairs; `token_ids` (C,) are the index's. Behind an n-gram's end stands END.
        """
        present = ngrams != END
        if not present.any():
            return self.start.sum() * 0
        goals = (ngrams - 1).clamp_min(0)
        states = self.states(memory, token_ids[goals[:, :-1]])
        vectors, bias = self.token_vectors(token_ids)
        importance = weight[:, None].expand_as(present)[present]
        return reconstruction_loss(self.directions(states[present]), goals[present], vectors, bias, importance)

    @torch.no_grad()
    def start_from_frequencies(self, index: NgramIndex) -> None:
        """Begin where each token is as likely as it is frequent in the documents (add-one)."""
        if not self._has_head:
            counts = torch.ones(len(self.bias))
            counts[torch.from_numpy(index.token_ids)] += torch.from_numpy(np.diff(index.bounds)).float()
            self.bias.copy_((counts / counts.sum()).log())

    @property
    def _has_head(self) -> bool:
        return isinstance(self.backbone, Seq2SeqBackbone) and self.backbone.model.config.model_type in PUBLISHED_HEAD

    @torch.no_grad()
    def _published_start(self) -> Tensor:
        """The vector that a published model begins a text with, or zeros."""
        zeros = torch.zeros(self.backbone.dim)
        if not isinstance(self.backbone, Seq2SeqBackbone):
            return zeros
        begins = self.backbone.model.generation_config
        token = begins.bos_token_id if begins.decoder_start_token_id is None else begins.decoder_start_token_id
        if token is None:
            return zeros
        return self.backbone.decoder.get_input_embeddings()(torch.tensor(token)).float()  # type: ignore[operator]
