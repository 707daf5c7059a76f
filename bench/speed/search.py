"""Queries per second of the constrained search, beside its floor and beside transformers' generate().

Weights, queries and IDs are random. The bundled backbone has 6 layers of width 384 and two decoder layers; the T5
has the same numbers. Both ways of the T5 run on the same weights and must give the same scores: its vocabulary is
all codes of all positions, a codebook is that position's rows of its (tied) embedding, both renormalise over the
allowed codes. With --shape the T5 is as large as a published one, and the bundled backbone has no rows. "decoding" has
the encoder's states given. Times are medians of rounds in which the ways take turns.
"""

import argparse
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.speed.machine import medians
from bench.speed.shapes import SHAPES, Shape
from lmindexer.devices import choose_bf16
from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import Memory, Seq2SeqBackbone, load_backbone
from lmindexer.model.beam import beam_search, exact_search
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.tables import head_lines, line

SPECIAL = 2  # padding, which also starts the decoder, and the end


def options(parser: argparse.ArgumentParser) -> None:
    for name, default in (("documents", "12101,100000,1000000"), ("beams", "10,20,50"), ("batch", "1,16")):
        parser.add_argument(f"--{name}", type=_numbers, default=_numbers(default), help=f"default: {default}")
    for name, number in (("tokens", 128), ("positions", 3), ("k", 10)):
        parser.add_argument(f"--{name}", type=int, default=number, help=f"default: {number}")
    parser.add_argument("--backbone", default="bundled", help="of the first rows")
    parser.add_argument("--exact", action="store_true", help="time the exact search too: minutes, without training")
    parser.add_argument("--shape", choices=tuple(SHAPES), help="of the T5; default: that of the bundled backbone")
    parser.add_argument("--precision", default="fp32", choices=("auto", "fp32", "bf16"))


def report(a: argparse.Namespace) -> None:
    """A table of every size, batch and number of beams."""
    bf16 = choose_bf16(a.precision, torch.device(a.device))
    with torch.autocast(torch.device(a.device).type, torch.bfloat16, enabled=bf16):
        _tables(a)


def _tables(a: argparse.Namespace) -> None:
    for N in a.documents:
        codes, sizes = random_codes(N, a.positions)
        began = time.perf_counter()
        trie = Trie.of(codes, sizes)
        print(
            f"\n{N:,} documents, {sizes} codes: trie built in {time.perf_counter() - began:.2f} s, "
            f"{trie.nbytes / 1e6:.1f} MB; queries of {a.tokens} tokens, {a.threads} threads, "
            f"median of {a.rounds} rounds\n"
        )
        head = ("batch", "beams", "way", "queries/s", "ms a batch", "x floor")
        print("\n".join(head_lines(head, texts=(2,))), flush=True)
        shape = SHAPES[a.shape] if a.shape else Shape(384, 4 * 384, 6, 6)
        t5, theirs = seq2seq(sizes, shape, shape.layers if a.shape else 2, torch.device(a.device))
        generate = generator(theirs, sizes, codes, a.k)
        ours = None if a.shape else bundled(sizes, a)
        for batch in a.batch:
            for beams in a.beams:
                if ours is not None:
                    _table(batch, beams, _ways(ours, trie, batch, beams, a, exact=a.exact), a)
                ways = _ways(t5, trie, batch, beams, a, generate=generate)
                _table(batch, beams, {f"T5 {way}": call for way, call in ways.items()}, a)


def random_codes(N: int, positions: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Codes (N, T) at random, of 256 a position, or 1,024 from half a million documents on."""
    sizes = (256 if N < 500_000 else 1024,) * positions
    return np.random.default_rng(0).integers(0, sizes, (N, positions)).astype(np.int32), sizes


def bundled(sizes: tuple[int, ...], a: argparse.Namespace) -> SemanticIndexer:
    """An indexer without training; the decoder's zero weights get values, so that no shortcut is timed."""
    torch.manual_seed(0)
    model = SemanticIndexer(load_backbone(a.backbone), sizes)
    with torch.no_grad():
        for weight in model.backbone.decoder.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.05)
    return model.eval().to(a.device)


def seq2seq(
    sizes: tuple[int, ...], shape: Shape, decoder_layers: int, device: torch.device
) -> tuple[SemanticIndexer, Any]:
    """An indexer on a random T5, and that T5, whose (tied) embedding has the same rows for the codes."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    first = [SPECIAL + sum(sizes[:t]) for t in range(len(sizes))]  # token of each position's code 0
    config = T5Config(
        vocab_size=SPECIAL + sum(sizes), dropout_rate=0.0, num_layers=shape.layers,
        num_decoder_layers=decoder_layers, decoder_start_token_id=0,
        d_model=shape.dim, d_kv=shape.head_dim, d_ff=shape.feed_forward, num_heads=shape.heads,
    )  # fmt: skip
    t5: Any = T5ForConditionalGeneration(config)
    tokenizer = SimpleNamespace(pad_token_id=0, all_special_ids=[0, 1])
    model = SemanticIndexer(Seq2SeqBackbone(t5, tokenizer), sizes)
    with torch.no_grad():
        model.start.copy_(t5.shared.weight[0])
        for t, codebook in enumerate(model.codebooks):
            codebook.weight.copy_(t5.shared.weight[first[t] : first[t] + sizes[t]])
    return model.eval().to(device), t5


def generator(
    t5: Any, sizes: tuple[int, ...], codes: np.ndarray, k: int
) -> Callable[[Tensor, Memory | None, int], Tensor]:
    """Transformers' way to search: from query tokens (B, L), or their memory, and beams to scores (B, k)."""
    from transformers import GenerationConfig
    from transformers.modeling_outputs import BaseModelOutput

    following = _dict_trie(codes + np.array([SPECIAL + sum(sizes[:t]) for t in range(len(sizes))]))

    def generate(tokens: Tensor, memory: Memory | None, beams: int) -> Tensor:
        asked = GenerationConfig(
            num_beams=beams, num_return_sequences=min(k, beams), max_new_tokens=len(sizes), length_penalty=0.0,
            do_sample=False, renormalize_logits=True, return_dict_in_generate=True, output_scores=True,
            pad_token_id=0, eos_token_id=None, decoder_start_token_id=0,
        )  # fmt: skip
        known = {} if memory is None else {"encoder_outputs": BaseModelOutput(last_hidden_state=memory.states)}
        answer = t5.generate(
            tokens, attention_mask=torch.ones_like(tokens), generation_config=asked, **known,
            prefix_allowed_tokens_fn=lambda _, prefix: following[tuple(prefix.tolist()[1:])],
        )  # fmt: skip
        return answer.sequences_scores.view(len(tokens), -1)

    return generate


def _dict_trie(paths: np.ndarray) -> dict[tuple[int, ...], list[int]]:
    """The tokens that may follow each prefix, as is usual with `prefix_allowed_tokens_fn`."""
    following = dict[tuple[int, ...], dict[int, None]]()
    for path in paths.tolist():
        for t, token in enumerate(path):
            following.setdefault(tuple(path[:t]), {})[token] = None
    return {prefix: list(tokens) for prefix, tokens in following.items()}


def _ways(
    model: SemanticIndexer,
    trie: Trie,
    batch: int,
    beams: int,
    a: argparse.Namespace,
    exact: bool = False,
    generate: Callable[[Tensor, Memory | None, int], Tensor] | None = None,
) -> dict[str, Callable[[], object]]:
    torch.manual_seed(1)
    tokens = torch.randint(SPECIAL, len(model.backbone.vocabulary), (batch, a.tokens), device=a.device)
    mask, trie = torch.ones_like(tokens, dtype=torch.bool), trie.to(a.device)
    renormalise = generate is not None
    with torch.no_grad():
        memory = model.backbone.remember(tokens, mask)

    def search(memory: Memory) -> Tensor:
        return beam_search(model, memory, trie, a.k, beams, renormalise=renormalise).scores

    ways: dict[str, Callable[[], object]] = {
        "encoder alone (the floor)": lambda: model.backbone.encoder(input_ids=tokens, attention_mask=mask),
        "search": lambda: search(model.backbone.remember(tokens, mask)),
        "search, decoding": lambda: search(memory),
    }
    if exact:
        ways["exact search"] = lambda: exact_search(model, model.backbone.remember(tokens, mask), trie, a.k)
    if generate is not None:
        ways["generate()"] = lambda: generate(tokens, None, beams)
        ways["generate(), decoding"] = lambda: generate(tokens, memory, beams)
        theirs = generate(tokens, memory, beams)
        near = 0.1 if choose_bf16(a.precision, torch.device(a.device)) else 1e-3
        torch.testing.assert_close(search(memory)[:, : theirs.shape[1]].float(), theirs.float(), rtol=near, atol=near)
    return ways


@torch.no_grad()
def _table(batch: int, beams: int, ways: dict[str, Callable[[], object]], a: argparse.Namespace) -> None:
    median = medians(ways, torch.device(a.device), a.rounds)
    floor = next(iter(median.values()))
    for way, seconds in median.items():
        numbers = f"{batch / seconds:.1f}", f"{1000 * seconds:.1f}", f"{seconds / floor:.2f}"
        print(line((str(batch), str(beams), way, *numbers)), flush=True)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
