"""A step of Eq. 14 on a T5 of a published shape: ours beside transformers' own loss on the same weights and tokens."""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from bench.speed import costs
from bench.speed.machine import matmul_rate, medians, peak_bytes
from bench.speed.search import SPECIAL, seq2seq
from bench.speed.shapes import SHAPES
from lmindexer.devices import choose_bf16
from lmindexer.learn.losses import generation_loss
from lmindexer.tables import table
from lmindexer.training import ADAM

CODES = (256, 256, 256)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shape", choices=tuple(SHAPES), default="t5-small")
    parser.add_argument("--tokens", type=int, default=32, help="of a query")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))


def report(a: argparse.Namespace) -> None:
    """Queries a second of both, and the share of the rate of products that ours reaches."""
    device = torch.device(a.device)
    bf16 = choose_bf16(a.precision, device)
    ways = _ways(a, device, bf16)
    seconds = medians(ways, device, a.rounds)
    shape, steps = SHAPES[a.shape], len(CODES)
    each = (
        costs.encoder(shape, a.tokens) + costs.memory_reading(shape, a.tokens) + costs.decoder(shape, a.tokens, steps)
    )
    rate = matmul_rate(device, torch.bfloat16 if bf16 else torch.float32)
    rows = [
        (way, f"{a.batch / s:.1f}", f"{seconds['transformers'] / s:.2f}x", f"{3 * a.batch * each / s / rate:.0%}")
        for way, s in seconds.items()
    ]
    print(f"T5 of shape {a.shape}, {a.tokens} tokens, batch {a.batch}, {'bf16' if bf16 else 'fp32'}; "
          f"{3 * each / 1e9:.2f} GFLOP a query; peak {peak_bytes(device) / 1e9:.1f} GB\n")  # fmt: skip
    print("\n".join(table(("way", "queries/s", "x", "of the rate of products"), rows)))


def _ways(a: argparse.Namespace, device: torch.device, bf16: bool) -> dict[str, Callable[[], object]]:
    """The same weights learn in turns; both have dropout as T5 has it."""
    model, t5 = seq2seq(CODES, SHAPES[a.shape], SHAPES[a.shape].layers, device)
    model.train()
    model.backbone.set_dropout(0.1)
    torch.manual_seed(1)
    tokens = torch.randint(SPECIAL, len(model.backbone.vocabulary), (a.batch, a.tokens), device=device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    codes = torch.stack([torch.randint(size, (a.batch,), device=device) for size in CODES], dim=1)
    first = torch.tensor([SPECIAL + sum(CODES[:t]) for t in range(len(CODES))], device=device)
    weight = torch.ones(a.batch, device=device)

    def ours() -> Tensor:
        hidden = model(model.backbone.remember(tokens, mask), codes[:, :-1])
        return generation_loss([c.logits(hidden[:, t]) for t, c in enumerate(model.codebooks)], codes, weight)

    def theirs() -> Tensor:
        loss: Tensor = t5(input_ids=tokens, attention_mask=mask.long(), labels=codes + first).loss
        return loss

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, **ADAM)

    def step(loss: Callable[[], Tensor]) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    return {"ours": lambda: step(ours), "transformers": lambda: step(theirs)}
