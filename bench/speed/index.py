"""IDs of new documents: documents a second beside the encoder's bare forward and sentence-transformers' encode.

The bundled backbone with an indexer of random weights; all read the same documents in the same precision, the bare
forward has them tokenised and padded beforehand.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.speed.machine import medians
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16
from lmindexer.extras import is_installed
from lmindexer.learn.memories import Memories
from lmindexer.model.backbone import load_backbone
from lmindexer.model.bundled import bundled_folder
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.tables import table

WORDS = tuple(f"{kind}{n}" for kind in ("steel", "cotton", "garden", "paper") for n in range(20))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=1024)
    parser.add_argument("--words", type=int, default=60, help="of a document, about; half to one and a half times")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--backbone", default="bundled")


def report(a: argparse.Namespace) -> None:
    """A row a way."""
    device = torch.device(a.device)
    bf16 = choose_bf16(a.precision, device)
    ways = _ways(a, device, bf16)
    seconds = medians(ways, device, a.rounds)
    floor = seconds["the encoder's bare forward"]
    rows = [(way, f"{a.documents / s:.1f}", f"{floor / s:.0%}") for way, s in seconds.items()]
    print(f"{a.documents:,} documents of about {a.words} words, {'bf16' if bf16 else 'fp32'}\n")
    print("\n".join(table(("way", "documents/s", "of the bare forward"), rows)))


def _ways(a: argparse.Namespace, device: torch.device, bf16: bool) -> dict[str, Callable[[], object]]:
    texts = _texts(a.documents, a.words)
    torch.manual_seed(0)
    model = SemanticIndexer(load_backbone(a.backbone), (256, 256)).to(device).eval()
    model.backbone.freeze("frozen", 0)
    padded = _padded(Memories(model.backbone, Tokens.of(model.backbone.tokenize(texts, 128)), bf16))

    @torch.no_grad()
    def ours() -> None:
        memories = Memories(model.backbone, Tokens.of(model.backbone.tokenize(texts, 128)), bf16)
        for rows in memories.batches(128):
            model.generate(memories.memory(rows))

    @torch.no_grad()
    def bare() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for tokens, mask in padded:
                model.backbone.encoder(input_ids=tokens, attention_mask=mask)

    ways: dict[str, Callable[[], object]] = {"the encoder's bare forward": bare, "ours: text to ID": ours}
    if a.backbone == "bundled" and is_installed("sentence_transformers"):
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(str(bundled_folder()), device=str(device))
        theirs.max_seq_length = 128

        def encode() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                theirs.encode(texts, batch_size=128, show_progress_bar=False)

        ways["sentence-transformers: text to vector"] = encode
    return ways


def _padded(memories: Memories) -> list[tuple[Tensor, Tensor]]:
    return [memories.tokens(rows) for rows in memories.batches(128)]


def _texts(documents: int, words: int) -> list[str]:
    dice = np.random.default_rng(0)
    return [" ".join(dice.choice(WORDS, dice.integers(words // 2, words * 3 // 2 + 1))) for _ in range(documents)]
