"""What each part of the method is worth: learn with one thing changed, print one table.

    python -m bench.ablation items.jsonl.gz --sample 3000 \
        --text title,brand --label categories --sizes 64,64 --out ablation

Finished runs in --out are reused. `--only "default,the paper's objective"` sets ours beside the paper's;
`--gradients` shows first what pulls at the decoder under either (bench/gradients.py). Figure 4 and Tables 2
and 5 of the paper vary the same things.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from bench import gradients
from bench.finished import learn_or_reuse, settings_and_sample
from lmindexer import tables
from lmindexer.runs import Run

PAPER = {"objective": "paper"}
BATCHES = 8  # looked at for --gradients
LONGER = {  # the defaults until 2026-11-26
    "rebuilt_tokens": 0, "reconstructor_epochs": 3, "warmup_epochs": 2, "epochs": 8, "first_epochs": 0,
    "learning_rate": 1e-3, "indexer_learning_rate": (5e-5, 2e-4),
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no reconstructor warm-up (Eq. 12)": {"reconstructor_epochs": 0},
    "no encoder warm-up (Eq. 13)": {"warmup_epochs": 0},
    "neither warm-up": {"reconstructor_epochs": 0, "warmup_epochs": 0},
    "no reconstruction loss": {"reconstruction": 0},
    "no contrastive loss (Eq. 9)": {"contrastive": 0},
    "parts as second views": {"view": "crop"},
    "parts lead to the codes": {"commit_crop": 1},
    "no commitment loss (Eq. 10)": {"commitment": 0},
    "no commitment, no settling": {"commitment": 0, "settle_epochs": 0},
    "no settling": {"settle_epochs": 0},
    "no alignment": {"alignment": 0},
    "no crowding": {"crowding": 0},
    "no spreading": {"spread": 0},
    "plain mean pooling": {"weigh_tokens": False},
    "h^t centred by first code": {"center": True},
    "Eq. 6 at temperature 2": {"gradient_temperature": 2},
    "Eq. 6 at temperature 4": {"gradient_temperature": 4},
    "Eq. 6 at temperature 8": {"gradient_temperature": 8},
    "no dead-code restart": {"restart_dead_codes": False},
    "hints 50 %, 50 %": {"hints": (0.5, 0.5)},
    "hints 10 %, 10 %": {"hints": (0.1, 0.1)},
    "reconstructor of 2 layers": {"reconstructor_layers": 2},
    "reconstructor of 3 layers": {"reconstructor_layers": 3},
    "full-vocabulary softmax": {"softmax": "full"},
    "top 2 encoder layers learn": {"encoder": "top"},
    "whole encoder learns": {"encoder": "full"},
    "all hidden tokens": {"rebuilt_tokens": 0},
    "4 hidden tokens": {"rebuilt_tokens": 4},
    "8 epochs": {"epochs": 8},
    "c1 as long as c2": {"first_epochs": 0},
    "settling of one epoch": {"settle_epochs": 1},
    "the longer schedule": LONGER,
    "the paper's objective": PAPER,
    "the paper's, no reconstructor warm-up": PAPER | {"reconstructor_epochs": 0},
    "the paper's, no encoder warm-up": PAPER | {"warmup_epochs": 0},
    "the paper's, no commitment": PAPER | {"commitment": 0, "settle_epochs": 0},
}
COLUMNS = (
    "AMI c1",
    "alike c1",
    "alike c1,c2",
    "ppl c1",
    "ppl c2",
    "buckets<=5",
    "told apart",
    "near c1",
    "near c1,c2",
    "agreement",
    "macro-F1",
    "nats own",
    "shuffled",
    "CPU s",
    "s",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=0, help="take this many documents at random; 0: all")
    parser.add_argument("--only", default="", help="comma-separated beginnings of the variants to run")
    parser.add_argument("--gradients", action="store_true", help="also the weighted gradient norms of the losses")
    parser.add_argument("--quiet", action="store_true")
    arguments, rest = parser.parse_known_args()
    config, corpus = settings_and_sample(parser, arguments, rest)
    if arguments.gradients:
        print(gradients.compare(config, corpus, BATCHES) + "\n")
    wanted = [name for name in VARIANTS if name.startswith(tuple(arguments.only.split(",")))]
    for name in wanted:
        learn_or_reuse(config.replace(**VARIANTS[name]), corpus, _folder(arguments.out, name), arguments.quiet)
    print(table([(name, Run(_folder(arguments.out, name))) for name in wanted]))


def table(runs: list[tuple[str, Run]]) -> str:
    """A Markdown table, one row a run, the two-step baseline of the first run on top."""
    first = runs[0][1].read_json("report.json")
    rows = [(*_cells("embed, then K-means", first["quality"]["rq-kmeans"]), *[""] * 6)]
    for name, run in runs:
        report = run.read_json("report.json")
        codes, other = (report["rebuilding"][key]["nats"] for key in ("codes", "shuffled codes"))
        scores = [r["macro_f1"] for r in run.log_records() if "macro_f1" in r]
        rest = (
            f"{report['agreement']['all']:.1%}",
            f"{scores[-1]:.3f}" if scores else "-",
            f"{codes:.2f}",
            f"{other:.2f}",
            f"{report['cpu_seconds']:.0f}" if "cpu_seconds" in report else "-",
            f"{report['seconds']:.0f}",
        )
        rows.append((*_cells(name, report["quality"]["lmindexer"]), *rest))
    return "\n".join(tables.table(("variant", *COLUMNS), rows))


def _cells(name: str, quality: dict[str, Any]) -> tuple[str, ...]:
    """Of the leaf labels AMI and the pairs of one path that have the same; a run of one position has no second."""
    positions, leaf = quality["positions"], quality["labels"][-1] if quality["labels"] else None
    alike = [None, None] if leaf is None else leaf["hierarchical_precision"]
    near = quality["neighbour_recall"]["words"]
    return (
        name,
        _number(leaf and leaf["ami"][0]),
        *(_number(*alike[t : t + 1]) for t in (0, 1)),
        *(_number(*(position["perplexity"] for position in positions[t : t + 1]), digits=0) for t in (0, 1)),
        f"{quality['share_in_small_buckets']:.1%}",
        f"{1 - quality['sharing'] / quality['documents']:.1%}",
        *(_number(*near[t : t + 1]) for t in (0, 1)),
    )


def _number(value: float | None = None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _folder(out: Path, variant: str) -> Path:
    return out / re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")


if __name__ == "__main__":
    main()
