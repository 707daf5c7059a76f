"""Cost of one reconstruction loss, forward and backward: full vocabulary, plain and chunked, and tokens of the batch.

python -m bench.reconstruction [--slots 2048] [--vocabulary 30522] [--batch-tokens 900] [--dim 384] [--device cpu]
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.learn.losses import reconstruction_loss
from lmindexer.tables import head_lines, line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=2048, help="masked tokens of a batch")
    parser.add_argument("--vocabulary", type=int, default=30522)
    parser.add_argument("--batch-tokens", type=int, default=900, help="distinct tokens of a batch")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeat", type=int, default=10)
    a = parser.parse_args()
    torch.manual_seed(0)
    z = torch.randn(a.slots, a.dim, device=a.device, requires_grad=True)
    weight, bias = (
        torch.randn(a.vocabulary, a.dim, device=a.device) * a.dim**-0.5,
        torch.zeros(a.vocabulary).to(a.device),
    )
    candidates = torch.randperm(a.vocabulary)[: a.batch_tokens].sort().values.to(a.device)
    goal = torch.randint(a.batch_tokens, (a.slots,), device=a.device)
    ways: dict[str, Callable[[], Tensor]] = {
        "full vocabulary, plain": lambda: F.cross_entropy(z @ weight.T + bias, candidates[goal]),
        "full vocabulary, chunked": lambda: reconstruction_loss(z, candidates[goal], weight, bias),
        "tokens of the batch": lambda: reconstruction_loss(z, goal, weight[candidates], bias[candidates]),
    }
    print("\n".join(head_lines(("softmax over", "ms a loss (median)", "largest logits, MB"))))
    for name, loss in ways.items():
        columns = a.batch_tokens if name == "tokens of the batch" else a.vocabulary
        rows = a.slots if "plain" in name else min(a.slots, 1024)
        print(line((name, f"{_milliseconds(loss, a.repeat, a.device):.0f}", f"{rows * columns * 4 / 1e6:.0f}")))


def _milliseconds(loss: Callable[[], Tensor], repeat: int, device: str) -> float:
    times = []
    for _ in range(repeat + 2):
        began = time.perf_counter()
        loss().backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 1000 * sorted(times[2:])[repeat // 2]


if __name__ == "__main__":
    main()
