"""A sentence-transformers model: loaded, asked for vectors, kept in a folder that SentenceTransformer opens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.errors import InputError
from lmindexer.extras import optional
from lmindexer.files import write_folder
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.published import first_line, silent

EXTRA = "dual-encoder"
AT_ONCE = 32  # texts read together where nothing is learned
PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}  # names that its makers may use


def load_encoder(name: str, max_tokens: int, device: torch.device, bf16: bool) -> Any:
    """The SentenceTransformer of 'bundled', a hub name or a folder, which cuts texts after `max_tokens`.

    With `bf16` it computes in bfloat16, whoever calls it. Raises InputError where the extra is missing, or where it
    cannot be loaded.
    """
    library = optional("sentence_transformers", "a dual encoder", EXTRA)
    folder = str(bundled_folder()) if name == "bundled" else name
    try:
        with silent():
            model = library.SentenceTransformer(folder, device=str(device))
        longest = model.max_seq_length
        model.max_seq_length = min(max_tokens, longest or max_tokens)
        model.preprocess(["a text"])
    except Exception as error:  # whatever odd files make sentence-transformers, transformers and tokenizers raise
        raise InputError(
            f"cannot load {name!r} as a dual encoder ({first_line(error)}); use 'bundled', a folder with a model saved "
            "by sentence-transformers or transformers, or the name of one that the Hugging Face hub can be asked for"
        ) from None
    if bf16:  # inside the model, as gradients in parts (GradCache) call it again when the loss is computed
        model.forward = torch.autocast(device.type, torch.bfloat16)(model.forward)
    return model


def features(model: Any, texts: Sequence[str], kind: str) -> dict[str, Any]:
    """Texts of a `kind`, "query" or "document", as the model reads them, with the prompt that its makers give them."""
    prompt = next((model.prompts[name] for name in PROMPTS[kind] if model.prompts.get(name)), None)
    read: dict[str, Any] = model.preprocess(list(texts), prompt=prompt)
    return {name: x.to(model.device) if isinstance(x, Tensor) else x for name, x in read.items()}


@torch.no_grad()
def vectors(model: Any, texts: Sequence[str], kind: str) -> Tensor:
    """The vectors (n, D) of texts, of length 1; equal texts have equal ones."""
    model.eval()
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    found = [
        model(features(model, distinct[at : at + AT_ONCE], kind))["sentence_embedding"].float()
        for at in range(0, len(distinct), AT_ONCE)
    ]
    place = {text: n for n, text in enumerate(distinct)}
    return F.normalize(torch.cat(found)[[place[text] for text in texts]], dim=1)


def set_dropout(model: nn.Module, share: float) -> None:
    """Let the model drop out this share wherever it drops out any."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def save_encoder(model: Any, folder: Path) -> None:
    """Keep it in a folder that SentenceTransformer opens."""
    with silent():
        write_folder(folder, lambda part: model.save_pretrained(str(part), create_model_card=False))
