"""An encoder cut in two: the layers that stay as they are, whose output is worth keeping, and those that learn.

Both parts are views: modules with their own list of layers that share every weight with the encoder.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def layers_of(encoder: Any) -> nn.ModuleList | None:
    """The layers of an encoder that can be cut: BERT and Llama and those built like them, T5, mT5, BART; else None."""
    places = {"t5": "block", "mt5": "block", "bart": "layers"}
    if encoder.config.model_type in places:
        layers = getattr(encoder, places[encoder.config.model_type], None)
    elif _like_llama(encoder):
        layers = encoder.layers
    else:
        layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    return layers if isinstance(layers, nn.ModuleList) else None


def lower_part(encoder: Any, cut: int) -> nn.Module:
    """The embeddings and the first `cut` layers: from token ids to the states between the two parts.

    It does not learn, so it is always without dropout.
    """
    if encoder.config.model_type in ("t5", "mt5"):
        whole = {"dropout": nn.Identity(), "final_layer_norm": nn.Identity()}  # T5 drops out once more at its end
        return _view(encoder, block=encoder.block[:cut], **whole).eval()
    if encoder.config.model_type == "bart":
        return _view(encoder, layers=encoder.layers[:cut]).eval()
    if _like_llama(encoder):
        return _view(encoder, layers=encoder.layers[:cut], norm=nn.Identity()).eval()
    return _view(encoder, encoder=_view(encoder.encoder, layer=encoder.encoder.layer[:cut])).eval()


def upper_part(encoder: Any, cut: int) -> nn.Module:
    """The layers from `cut` on: from the states between the two parts, as `inputs_embeds`, to the encoder's own."""
    if encoder.config.model_type in ("t5", "mt5"):
        end = nn.Sequential(encoder.final_layer_norm, encoder.dropout)
        layers = nn.ModuleList([_PositionBias(encoder.block[0]), *encoder.block[cut:]])
        return _view(encoder, block=layers, dropout=nn.Identity(), final_layer_norm=end)
    if encoder.config.model_type == "bart":
        start = {"embed_positions": _Zero(), "layernorm_embedding": nn.Identity(), "dropout": 0.0}
        return _view(encoder, layers=encoder.layers[cut:], **start)
    if _like_llama(encoder):
        return _view(encoder, layers=encoder.layers[cut:])
    upper = _view(encoder.encoder, layer=encoder.encoder.layer[cut:])
    return _view(encoder, encoder=upper, embeddings=_PassOn())


def _like_llama(encoder: Any) -> bool:
    """A causal model whose layers are all of one kind and know the positions themselves."""
    kinds = getattr(encoder.config, "layer_types", None) or ()
    return encoder.config.model_type in ("llama", "mistral", "qwen2", "qwen3") and len(set(kinds)) <= 1


def _view(module: nn.Module, **parts: Any) -> nn.Module:
    """The same module, with some parts or settings changed in the view alone."""
    view = copy.copy(module)
    view._modules = dict(module._modules)
    for name, part in parts.items():
        setattr(view, name, part)
    return view


class _PassOn(nn.Module):
    """Stands for the embeddings of BERT when the states of a lower layer are fed in."""

    def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
        return inputs_embeds


class _Zero(nn.Module):
    """Stands for the positions of BART, which those states have in them."""

    def forward(self, states: Tensor) -> Tensor:
        return states.new_zeros(())


class _PositionBias(nn.Module):
    """Stands before T5's upper layers: its first layer alone knows the relative positions that all layers add."""

    def __init__(self, first: Any) -> None:
        super().__init__()
        self.attention = first.layer[0].SelfAttention

    def forward(self, states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor, None]:
        length = states.shape[1]
        return states, self.attention.compute_bias(length, length, device=torch.device(states.device)), None
