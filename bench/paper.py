"""The paper's tables and figures on the quality of IDs, ours beside the paper's.

    python -m bench.paper table1 --data beauty
    python -m bench.paper figure4 --data items.jsonl.gz --text title,brand --label categories --seeds 0

`--data beauty` and `toys` are the Amazon sets under the folder LMINDEXER_DATA (./data by default), each
as amazon2014_NAME/items.jsonl.gz. Finished runs in --out are reused; every other option is a setting of
`lmindexer learn`. What is not on this machine (BERT's weights) is said, and the rest is run.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bench.finished import learn_or_reuse, sample_of, settings_of
from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.explore.figures import duplication_density, label_distribution, training_curves
from lmindexer.ids.table import IdTable
from lmindexer.indexers.sizes import with_sizes
from lmindexer.runs import Run
from lmindexer.tables import table

BERT = "google-bert/bert-base-uncased"
SETS: dict[str, dict[str, Any]] = {
    "beauty": {"text": ("title", "brand"), "label": "categories"},
    "toys": {"text": ("title",), "label": "categories"},
}
# name in the table -> what is changed, and the paper's AMI by data set (Table 1)
TABLE1: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "rq-VAE (BERT)": ({"indexer": "rq-vae", "embeddings": BERT}, {"beauty": 0.2654, "toys": 0.3154}),
    "HC (BERT)": ({"indexer": "hc", "embeddings": BERT}, {"beauty": 0.2428, "toys": 0.2729}),
    "rq-VAE (in-domain SimCSE)": ({"indexer": "rq-vae", "embeddings": "simcse"}, {"beauty": 0.3100, "toys": 0.3126}),
    "HC (in-domain SimCSE)": ({"indexer": "hc", "embeddings": "simcse"}, {"beauty": 0.2771, "toys": 0.2968}),
    "rq-VAE (bundled)": ({"indexer": "rq-vae"}, {}),
    "HC (bundled)": ({"indexer": "hc"}, {}),
    "HC (bundled), 50 clusters, leaves of 512": ({"indexer": "hc", "clusters": 50, "leaf": 512}, {}),
    "residual K-means (bundled)": ({"indexer": "rq-kmeans"}, {}),
    "random": ({"indexer": "random"}, {}),
    "LMIndexer": ({}, {"beauty": 0.3563, "toys": 0.3536}),
}
NO_COMMITMENT = {"commitment": 0, "settle_epochs": 0}
TABLE2 = {
    "with commitment loss": ({"settle_epochs": 0}, {"beauty": 287.01, "toys": 280.30}),
    "without": (NO_COMMITMENT, {"beauty": 261.04, "toys": 211.60}),
}
TABLE5 = {
    "reconstructor of 1 layer": ({}, {"beauty": 0.3563}),
    "2 layers": ({"reconstructor_layers": 2}, {"beauty": 0.2390}),
    "3 layers": ({"reconstructor_layers": 3}, {"beauty": 0.1679}),
}
FIGURE4: dict[str, dict[str, Any]] = {
    "all": {},
    "no reconstructor warm-up": {"reconstructor_epochs": 0},
    "no encoder warm-up": {"warmup_epochs": 0},
    "no contrastive loss": {"contrastive": 0},
}
FIGURE6 = ("LMIndexer", "rq-VAE (bundled)", "HC (bundled)")
FIGURE8 = (128, 256, 512)
Value = Callable[[dict[str, Any]], float | None]


@dataclass(frozen=True)
class Bench:
    """What a table or figure is made from: documents, settings, seeds, and where runs go."""

    data: str
    corpus: Corpus
    config: LearnConfig
    seeds: list[int]
    out: Path
    quiet: bool
    only: tuple[str, ...]

    def runs(self, name: str, changes: dict[str, Any], seeds: list[int] | None = None) -> list[Run]:
        """One finished run a seed; none, and a line that says why, where an encoder cannot be had."""
        finished = []
        for seed in self.seeds if seeds is None else seeds:
            config = self.config.replace(**changes, seed=seed)
            folder = self.out / self.data / f"{_folder_name(name)}-{seed}"
            try:
                finished.append(learn_or_reuse(config, self.corpus, folder, self.quiet))
            except InputError as error:
                if "cannot load the model" not in str(error):
                    raise
                print(f"{name} was not run: {error}", file=sys.stderr)
                return []
        return finished

    def table(self, rows: dict[str, tuple[dict[str, Any], dict[str, float]]], columns: dict[str, Value]) -> str:
        """Mean and spread over seeds of each column, the paper's number in the last one."""
        cells = []
        for name, (changes, published) in rows.items():
            if not name.startswith(self.only):
                continue
            reports = [run.read_json("report.json") for run in self.runs(name, changes)]
            means = [_spread([value(report) for report in reports]) for value in columns.values()]
            paper = f"{published[self.data]:.4g}" if self.data in published else ""
            cells.append((name, *means, paper))
        return "\n".join(table((f"{self.data}, {len(self.seeds)} seed(s)", *columns, "paper"), cells))


def quality(report: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the run's own IDs."""
    return dict(next(iter(report["quality"].values())))


def _leaf(report: dict[str, Any], measure: str, depth: int) -> float | None:
    labels = quality(report)["labels"]
    values = labels[-1][measure] if labels else []
    return values[depth] if depth < len(values) else None


COLUMNS: dict[str, Value] = {
    "AMI(c1, leaf)": lambda report: _leaf(report, "ami", 0),
    "perplexity of c1": lambda report: quality(report)["positions"][0]["perplexity"],
    "pairs sharing c1 alike": lambda report: _leaf(report, "hierarchical_precision", 0),
    "sharing (c1, c2)": lambda report: _leaf(report, "hierarchical_precision", 1),
    "buckets <= 5": lambda report: quality(report)["share_in_small_buckets"],
    "minutes": lambda report: report["seconds"] / 60,
}


def table1(bench: Bench) -> None:
    print(bench.table(TABLE1, COLUMNS))


def table2(bench: Bench) -> None:
    kept: Value = lambda report: report["agreement"]["perplexity"][0]  # noqa: E731
    same: Value = lambda report: report["agreement"]["by_position"][0]  # noqa: E731
    columns = {"perplexity of the final model's c1": kept, "share of documents whose c1 it still gives": same}
    print(bench.table(TABLE2, columns))


def table5(bench: Bench) -> None:
    print(bench.table(TABLE5, {name: COLUMNS[name] for name in list(COLUMNS)[:2]}))
    print("\nThe table's columns on recommendation and retrieval: python -m bench.downstream on these runs.")


def figure3(bench: Bench) -> None:
    for run in bench.runs("LMIndexer", {}, bench.seeds[:1]):
        texts, labels, stem = bench.corpus.texts(), bench.corpus.labels, bench.out / bench.data / "figure3"
        print_paths(label_distribution(IdTable.load(run.file("ids.parquet")), labels, stem, texts=texts))


def figure4(bench: Bench) -> None:
    logs = {}
    for name, changes in FIGURE4.items():
        for run in bench.runs("LMIndexer" if name == "all" else name, changes, bench.seeds[:1]):
            logs[name] = run.log_records()
    print_paths(training_curves(logs, bench.out / bench.data / "figure4"))


def figure6(bench: Bench) -> None:
    tables = {}
    for name in FIGURE6:
        for run in bench.runs(name, TABLE1[name][0], bench.seeds[:1]):
            tables[name] = IdTable.load(run.file("ids.parquet"))
    print_paths(duplication_density(tables, bench.out / bench.data / "figure6"))


def figure8(bench: Bench) -> None:
    positions = len(bench.config.sizes)
    rows: dict[str, tuple[dict[str, Any], dict[str, float]]] = {}
    for size in FIGURE8:
        same = bench.config.sizes == (size,) * positions
        rows["LMIndexer" if same else f"K = {size}"] = ({"sizes": (size,) * positions}, {})
    print(bench.table(rows, COLUMNS))
    print("\nThe paper's curve is of recommendation and retrieval: python -m bench.downstream on these runs.")


WHAT = {f.__name__: f for f in (table1, table2, table5, figure3, figure4, figure6, figure8)}


def print_paths(paths: tuple[Path, Path]) -> None:
    print(*paths, sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--data", required=True, help="beauty, toys, or a file that lmindexer learn reads")
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated; mean and spread are over them")
    parser.add_argument("--sample", type=int, default=0, help="take this many documents at random; 0: all")
    parser.add_argument("--only", default="", help="comma-separated beginnings of the rows to run")
    parser.add_argument("--quiet", action="store_true")
    arguments, rest = parser.parse_known_args()
    try:
        bench = _bench(arguments, settings_of(rest))
        WHAT[arguments.what](bench)
    except (InputError, ValueError) as error:
        parser.error(str(error))


def _bench(arguments: argparse.Namespace, settings: dict[str, Any]) -> Bench:
    data = arguments.data
    config = from_mapping(SETS.get(data, {}) | settings)
    path = Path(data)
    if data in SETS:
        path = Path(os.environ.get("LMINDEXER_DATA", "data")) / f"amazon2014_{data}" / "items.jsonl.gz"
        if not path.exists():
            raise InputError(f"there is no {path}; set LMINDEXER_DATA to the folder that holds amazon2014_{data}")
    everything = Corpus.read([path], text=config.text, id=config.id, label=config.label, keep_empty=True)
    corpus = sample_of(everything, arguments.sample, 0)
    return Bench(
        data=data if data in SETS else _folder_name(path.name.split(".")[0]),
        corpus=corpus,
        config=with_sizes(config, len(corpus)),
        seeds=[int(seed) for seed in arguments.seeds.split(",")],
        out=arguments.out,
        quiet=arguments.quiet,
        only=tuple(arguments.only.split(",")),
    )


def _folder_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _spread(values: list[float | None]) -> str:
    """Mean and standard deviation over seeds."""
    present = [value for value in values if value is not None]
    if not present:
        return "not run" if not values else "-"
    form = ".3f" if abs(mean(present)) < 2 else ".1f"
    return format(mean(present), form) + (f" ± {stdev(present):{form}}" if len(present) > 1 else "")


if __name__ == "__main__":
    main()
