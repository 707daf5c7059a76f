"""A million queries of the constrained search, checked by what knows no tree: is every answer a document's ID?

python -m bench.valid [--queries 1000000] [--documents 12101] [--beams 20] [--k 10] [--batch 256] [--rounds 20]

Each round has another model without training, other queries, other codebooks and other IDs, a tenth of which are
copies. The search returns rows, and a row has an ID in the table whatever codes led to it; so its score is asked, too:
it must be the model's log P of the very path which the table holds for that row, worked out in one forward pass over
all codes. Scores of other paths lie further apart than the tolerance in 99.8 of 100 cases, and errors of rounding a
tenth of it. Counted are documents that fail, and lists with a document twice or fewer than k. For contrast: how many
of the IDs exist that the same models decode greedily without the tree.
"""

import argparse
import itertools
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import EncoderBackbone, Memory
from lmindexer.model.beam import beam_search
from lmindexer.model.decoder import SmallDecoder
from lmindexer.model.semantic_indexer import SemanticIndexer

WIDTH, TOKENS = 64, 8
SIZES = (256, 256), (256, 256, 256), (512, 512), (64, 64, 64, 64), (1024, 128)  # codebooks, in turn
COPIES = 0.1  # of the documents have the path of another
NEAR = 1e-5  # scores may round apart by this share


@dataclass
class Counts:
    """What went wrong, and what for contrast would have."""

    queries: int = 0
    returned: int = 0
    not_a_row: int = 0  # of the table
    not_its_path: int = 0  # the score is not that of the row's path
    repeated: int = 0  # lists with a document twice
    short: int = 0  # lists of fewer than k
    free: int = 0  # IDs decoded without the tree
    free_in_table: int = 0

    @property
    def wrong(self) -> int:
        return self.not_a_row + self.not_its_path + self.repeated + self.short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = {"queries": 1_000_000, "documents": 12_101, "beams": 20, "k": 10, "batch": 256, "rounds": 20, "seed": 0}
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=number, help=f"default: {number}")
    a = parser.parse_args()
    torch.set_num_threads(1)
    counts, began, searching = Counts(), time.perf_counter(), 0.0
    rounds, k = min(a.rounds, a.queries), min(a.k, a.documents)
    for n in range(rounds):
        torch.manual_seed(a.seed + n)
        sizes = SIZES[n % len(SIZES)]
        codes = random_codes(a.documents, sizes, a.seed + n)
        model, trie = random_model(sizes), Trie.of(codes, sizes)
        for size in batches(a.queries * (n + 1) // rounds - a.queries * n // rounds, a.batch):
            searching += ask(model, trie, codes, random_memory(size), k, a.beams, counts)
        print(f"round {n + 1}, codes {sizes}: {counts.wrong} wrong in {counts.queries:,} queries", flush=True)
    seconds = time.perf_counter() - began
    print(
        f"\n{counts.queries:,} queries, {counts.returned:,} documents returned: {counts.not_a_row:,} are no row of the "
        f"table, {counts.not_its_path:,} have not the score of their path in the table;\n"
        f"{counts.repeated:,} lists with a document twice, {counts.short:,} with fewer than {k}. Without the tree "
        f"{counts.free_in_table / counts.free:.1%} of {counts.free:,} IDs exist.\n"
        f"{counts.queries / searching:,.0f} queries/s in the search, {counts.queries / seconds:,.0f} with the checks."
    )
    raise SystemExit(counts.wrong > 0)


def random_codes(N: int, sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """Codes (N, T), some popular and some rare, of which COPIES are the path of another document."""
    random = np.random.default_rng(seed)
    codes = (random.random((N, len(sizes))) ** 2 * np.array(sizes)).astype(np.int32)
    copied = random.random(N) < COPIES
    codes[copied] = codes[random.integers(N, size=int(copied.sum()))]
    return codes


def random_model(sizes: tuple[int, ...]) -> SemanticIndexer:
    """A small decoder and codebooks; the encoder is never run, as memories are random too."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=8, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=1, intermediate_size=WIDTH
    )
    tokenizer: Any = SimpleNamespace(pad_token_id=0, all_special_ids=[0])
    decoder = SmallDecoder(WIDTH, layers=2, heads=2, dropout=0.0)
    model = SemanticIndexer(EncoderBackbone(BertModel(config), tokenizer, decoder), sizes)
    sharpness = float(torch.empty(()).uniform_(0.3, 3))  # from nearly even to nearly certain
    with torch.no_grad():
        for weight in decoder.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.1)
        model.start.normal_()
        for codebook in model.codebooks:
            codebook.weight.mul_(sharpness)
    return model.eval()


def random_memory(B: int) -> Memory:
    mask = torch.arange(TOKENS) < torch.randint(1, TOKENS + 1, (B, 1))  # (B, L)
    return Memory(torch.randn(B, TOKENS, WIDTH), mask, torch.rand(B, TOKENS) * mask)


def batches(queries: int, size: int) -> list[int]:
    return [min(size, queries - at) for at in range(0, queries, size)]


@torch.no_grad()
def ask(
    model: SemanticIndexer, trie: Trie, codes: np.ndarray, memory: Memory, k: int, beams: int, counts: Counts
) -> float:
    """Search, count what is wrong, and give the seconds of the search."""
    began = time.perf_counter()
    found = beam_search(model, memory, trie, k, beams)
    seconds = time.perf_counter() - began
    rows, scores = found.rows.numpy(), found.scores
    is_hit = rows >= 0
    known = is_hit & (rows < len(codes))
    ordered = np.sort(rows, axis=1)
    paths = codes[np.where(known, rows, 0)]  # (B, k, T)
    theirs = log_p(model, memory, torch.from_numpy(paths).long()).cummin(1).values  # (B, k), never rising as scores are
    alike = torch.isclose(scores, theirs, rtol=NEAR, atol=NEAR).numpy()
    counts.queries += len(rows)
    counts.returned += int(is_hit.sum())
    counts.not_a_row += int((is_hit & ~known).sum())
    counts.not_its_path += int((known & ~alike).sum())
    counts.repeated += int(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1).sum())
    counts.short += int((~is_hit).any(1).sum())
    free = model.generate(memory).numpy()  # (B, T)
    counts.free += len(free)
    counts.free_in_table += int(in_table(free, codes, model.sizes).sum())
    return seconds


def log_p(model: SemanticIndexer, memory: Memory, paths: Tensor) -> Tensor:
    """log P of paths (B, k, T) in one pass, as in training: (B, k)."""
    B, k, T = paths.shape
    hidden = model(memory, paths[..., :-1].flatten(0, 1)).view(B, k, T, -1)
    steps = [codebook.logits(hidden[:, :, t]).log_softmax(-1) for t, codebook in enumerate(model.codebooks)]
    return torch.stack([step.gather(-1, paths[..., t, None])[..., 0] for t, step in enumerate(steps)]).sum(0)


def in_table(paths: np.ndarray, codes: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Which of `paths` (M, T) some row of `codes` (N, T) is: (M,) bool; each path as one number."""
    place = np.array([1, *itertools.accumulate(sizes[:0:-1], lambda x, y: x * y)], dtype=np.int64)[::-1]
    return np.isin(paths.astype(np.int64) @ place, codes.astype(np.int64) @ place)


if __name__ == "__main__":
    main()
