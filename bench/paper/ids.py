"""Tables and figures on the quality of IDs: Tables 1 and 2, Figures 3, 4 and 6, and the columns of all of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bench.paper.bench import Bench
from bench.paper.report import Report
from bench.paper.rows import LEARNED, TABLE1
from lmindexer.explore.figures import duplication_density, label_distribution, training_curves
from lmindexer.ids.table import IdTable
from lmindexer.tables import table

NO_COMMITMENT = {"commitment": 0, "settle_epochs": 0}
TABLE2 = {
    "with commitment loss": ({"settle_epochs": 0}, {"beauty": 287.01, "toys": 280.30}),
    "without": (NO_COMMITMENT, {"beauty": 261.04, "toys": 211.60}),
}
FIGURE4: dict[str, dict[str, Any]] = {
    "all": {},
    "no reconstructor warm-up": {"reconstructor_epochs": 0},
    "no encoder warm-up": {"warmup_epochs": 0},
    "no contrastive loss": {"contrastive": 0},
}
FIGURE6 = ("LMIndexer", "rq-VAE (bundled)", "HC (bundled)")
Value = Callable[[dict[str, Any]], float | None]
Rows = Mapping[str, tuple[Mapping[str, Any], Mapping[str, float]]]  # changes of a setting, and the paper's numbers


def quality_of(report: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the run's own IDs."""
    return dict(next(iter(report["quality"].values())))


def leaf(report: dict[str, Any], measure: str, depth: int) -> float | None:
    """A measure of the most detailed labels, at a depth of the path of codes; None where there are no labels."""
    labels = quality_of(report)["labels"]
    values = labels[-1][measure] if labels else []
    return values[depth] if depth < len(values) else None


COLUMNS: dict[str, Value] = {
    "AMI(c1, leaf)": lambda report: leaf(report, "ami", 0),
    "perplexity of c1": lambda report: quality_of(report)["positions"][0]["perplexity"],
    "pairs sharing c1 alike": lambda report: leaf(report, "hierarchical_precision", 0),
    "sharing (c1, c2)": lambda report: leaf(report, "hierarchical_precision", 1),
    "buckets <= 5": lambda report: quality_of(report)["share_in_small_buckets"],
    "minutes": lambda report: report["seconds"] / 60,
}


def ids_table(bench: Bench, rows: Rows, columns: Mapping[str, Value]) -> Report:
    """Mean and spread over seeds of each column, the paper's number in the last one."""
    cells, facts = [], {}
    for name in bench.chosen(rows):
        changes, published = rows[name]
        reports = [run.read_json("report.json") for run in bench.runs(name, changes)]
        values = {column: [value(report) for report in reports] for column, value in columns.items()}
        paper = published.get(bench.data.name)
        cells.append((name, *map(spread, values.values()), "" if paper is None else f"{paper:.4g}"))
        facts[name] = values | {"paper": paper}
    lines = table((f"{bench.data.name}, {len(bench.seeds)} seed(s)", *columns, "paper"), cells)
    return Report(lines, {"rows": facts})


def spread(values: list[float | None]) -> str:
    """Mean and standard deviation over seeds."""
    present = [value for value in values if value is not None]
    if not present:
        return "not run" if not values else "-"
    form = ".3f" if abs(mean(present)) < 2 else ".1f"
    return format(mean(present), form) + (f" ± {stdev(present):{form}}" if len(present) > 1 else "")


def table1(bench: Bench) -> Report:
    """AMI of the IDs of every indexer."""
    return ids_table(bench, {name: (LEARNED[name], published) for name, published in TABLE1.items()}, COLUMNS)


def table2(bench: Bench) -> Report:
    """Whether earlier codes stay when a further position learns."""
    kept: Value = lambda report: report["agreement"]["perplexity"][0]  # noqa: E731
    same: Value = lambda report: report["agreement"]["by_position"][0]  # noqa: E731
    columns = {"perplexity of the final model's c1": kept, "share of documents whose c1 it still gives": same}
    return ids_table(bench, TABLE2, columns)


def figure3(bench: Bench) -> Report:
    """Categories by first and second code."""
    lines: list[str] = []
    for run in bench.runs("LMIndexer", {}, bench.seeds[:1]):
        texts, labels, stem = bench.corpus.texts(), bench.corpus.labels, bench.folder / "figure3"
        lines += shown(label_distribution(IdTable.load(run.file("ids.parquet")), labels, stem, texts=texts))
    return Report(lines)


def figure4(bench: Bench) -> Report:
    """Training with and without each trick."""
    logs = {
        name: run.log_records()
        for name, changes in FIGURE4.items()
        for run in bench.runs(name, changes, bench.seeds[:1])
    }
    return Report(shown(training_curves(logs, bench.folder / "figure4")))


def figure6(bench: Bench) -> Report:
    """How many documents share an ID."""
    tables = {
        name: IdTable.load(run.file("ids.parquet"))
        for name in FIGURE6
        for run in bench.runs(name, LEARNED[name], bench.seeds[:1])
    }
    return Report(shown(duplication_density(tables, bench.folder / "figure6")))


def shown(paths: tuple[Path, Path]) -> list[str]:
    """The paths of a picture, a line each."""
    return [str(path) for path in paths]
