"""What a published model is: its kind, how it pools, which files it has, and whether it can be used here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lmindexer.errors import InputError

POOLING_FILE = "1_Pooling/config.json"  # of a sentence-transformers model
POOLINGS = ("mean", "cls", "lasttoken")
KINDS = (
    "use 'bundled', an encoder such as BERT, RoBERTa or MPNet, a seq2seq model such as T5, mT5 or BART, or a causal "
    "model such as Qwen, Llama or Mistral"
)


@contextmanager
def silent() -> Iterator[None]:
    """What transformers says of weights that it reads is not shown."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def is_causal(config: Any) -> bool:
    """Whether each token sees those before it alone: a language model such as GPT-2, Llama or Qwen."""
    from transformers.models.auto import modeling_auto as auto

    if config.is_encoder_decoder:
        return False
    kind, masked = config.model_type, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    writes = kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in masked
    return writes or bool(getattr(config, "is_decoder", False))


def check_kind(name: str, config: Any) -> None:
    """Refuse by its configuration, before its weights are read, what is no encoder, seq2seq or causal model of text."""
    from transformers.models.auto import modeling_auto as auto

    kind = config.model_type
    if config.is_encoder_decoder:
        speech = auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
        good = kind in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES and kind not in speech
        what = "an encoder-decoder model of something else than text"
    else:
        text = is_causal(config) and config.get_text_config() is config
        good = text or kind in (*auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES)
        what = "not a model that reads text alone"
    if not good:
        raise InputError(f"the model {name!r} ({kind}) is {what}; {KINDS}")


@torch.no_grad()
def check_states(name: str, backbone: Any) -> None:
    """Refuse what cannot be used, by two tokens and the same two with padding behind them.

    Everything between encoder and decoder has the token embeddings' width, and padding changes nothing.
    """
    tokens = torch.tensor([[0, len(backbone.vocabulary) - 1, backbone.pad_id]])
    try:
        memory = backbone.remember(tokens, torch.tensor([[True, True, False]]))
        width = memory.states.shape[-1]
        if not memory.states.isfinite().all():
            raise ValueError("what it says of a text is no number")
        if width != backbone.dim:
            raise ValueError(f"its token embeddings have {backbone.dim} numbers and its states {width}")
        backbone.decode(memory, torch.zeros(1, 1, backbone.dim))
        alone = backbone.remember(tokens[:, :2], torch.ones(1, 2, dtype=torch.bool))
        if _differ(alone.states, memory.states[:, :2]):
            raise ValueError("what it says of a text depends on the padding behind it")
        if backbone.is_one_stack:
            _check_steps(backbone, alone, memory)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        way_out = f"or leave it frozen; {KINDS}" if backbone.is_one_stack else KINDS
        raise InputError(f"the model {name!r} cannot be used ({first_line(error)}); {way_out}") from None


def _check_steps(backbone: Any, alone: Any, padded: Any) -> None:
    """Raise ValueError unless an ID depends neither on padding nor on whether keys and values are kept."""
    inputs = torch.linspace(-1, 1, 3 * backbone.dim).view(1, 3, -1)
    decoded = backbone.decode(alone, inputs)
    if _differ(backbone.decode(padded, inputs), decoded):
        raise ValueError("what it says behind a text depends on the padding between them")
    read = backbone.reader(padded)
    if any(_differ(read(inputs[:, : n + 1])[:, 0], decoded[:, n]) for n in range(3)):
        raise ValueError("what it says behind a text is another thing step by step")


def _differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).norm() > 0.01 * one.norm())


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def usual_pooling(config: Any) -> str:
    """How one vector is made of a text where nothing is said: of a causal model the last token has seen all."""
    return "lasttoken" if is_causal(config) else "mean"


def pooling_of(name: str, config: Any) -> str:
    """How a sentence-transformers model makes one vector of a text: one of `POOLINGS`, or as is usual.

    Raises ValueError where it takes more than such a pooling and a scaling to length 1.
    """
    for module in published(name, "modules.json") or []:
        kind = str(module["type"]).rsplit(".", 1)[-1]
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise ValueError(f"it ends in a layer {kind}, which is not read here")
    settings = published(name, POOLING_FILE) or {"pooling_mode": usual_pooling(config)}
    switched_on = [key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
                   for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]  # fmt: skip
    mode = settings.get("pooling_mode") or "+".join(switched_on)
    if mode not in POOLINGS:
        raise ValueError(f"it pools by {mode!r}, and only mean, cls and lasttoken are known here")
    return str(mode)


def published(name: str, file: str) -> Any:
    """A JSON file of a folder or of a model on the hub; None where there is none."""
    path = find_file(name, file)
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def find_file(name: str, file: str) -> str | None:
    """Where a file of a folder or of a model on the hub lies; None where there is none."""
    from transformers.utils import cached_file

    silent = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    path: str | None = cached_file(name, file, **silent)
    return path
