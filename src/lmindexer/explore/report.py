"""The report of a run: report.md for people, curves.png beside it (Figure 4's quantities as they went)."""

from collections.abc import Iterable
from typing import Any

from lmindexer.explore.tree import TreeNode, to_markdown
from lmindexer.runs import Run
from lmindexer.tables import table

CURVES = (
    ("reconstruction", "reconstruction loss, nats a token"),
    ("macro_f1", "Macro-F1 of rebuilt tokens"),
    ("perplexity", "perplexity of the codes"),
    ("sharing", "share of documents that share their path"),
)

HARDLY = "the codes hardly help to rebuild the text; try more --epochs or fewer --hints"

NAMES = {
    "lmindexer": "LMIndexer",
    "rq-vae": "rq-VAE",
    "hc": "hierarchical clustering",
    "rq-kmeans": "residual K-means",
    "random": "random",
}


def write_report(run: Run, tree: TreeNode) -> None:
    """Write report.md and, where training logged one of CURVES, curves.png, from report.json and log.jsonl."""
    report = report_of(run)
    trained = any(name in record for record in run.log_records() for name, _ in CURVES)
    config = run.file("config.toml").read_text(encoding="utf-8").strip()
    lines = [f"# {run.path.resolve().name}", "", "```toml", config, "```", ""]
    lines += ["## Quality", "", *quality_table(report), "", *summary(report), ""]
    if trained:
        draw_curves(run)
        lines += ["## Training", "", "![training curves](curves.png)", ""]
    lines += ["## The ID tree", "", to_markdown(tree), ""]
    run.write_text("report.md", "\n".join(lines))


def report_of(run: Run) -> dict[str, Any]:
    """Read the run's report.json. Raises InputError where it does not hold what is shown of it."""
    report = run.read_json("report.json")
    with run.trusting("report.json"):
        quality_table(report)
        summary(report)
    return report


def summary(report: dict[str, Any]) -> list[str]:
    """Say in sentences what the numbers of report.json mean."""
    quality = next(iter(report["quality"].values()))
    lines = [
        f"All {quality['documents']:,} IDs are unique; {quality['sharing']:,} documents share their learned codes "
        f"with another, at most {quality['largest_bucket']} together.",
    ]
    if "vectors" in report:
        given = report["vectors"]
        lines.append(f"Its vectors were brought: {given['file']}, {given['width']:,} numbers each.")
        lines += [f"Note: {note}." for note in given["notes"]]
    if "agreement" in report:
        share = report["agreement"]["all"]
        lines.append(f"The final model by itself gives the table's codes to {share:.1%} of the documents.")
    if "rebuilding" in report:
        codes, other, none = (report["rebuilding"][name]["nats"] for name in ("codes", "shuffled codes", "hints alone"))
        lines.append(
            f"Hidden tokens are rebuilt at {codes:.2f} nats from hints and a document's own codes, {other:.2f} from "
            f"another document's codes, {none:.2f} from hints alone."
        )
    lines += [f"Note: {note}." for note in report.get("unseen", {}).get("notes", ())]
    gpu = report["peak_gpu_bytes"]
    memory = f"{report['peak_memory_bytes'] / 1e9:.1f} GB" + (f", GPU {gpu / 1e9:.1f} GB" if gpu else "")
    lines.append(f"Took {report['seconds'] / 60:.1f} minutes and {memory} of memory.")
    warnings = [*report.get("warnings", ()), *helps_little(report)]
    return lines + [f"Warning: {warning}." for warning in warnings]


def helps_little(report: dict[str, Any]) -> list[str]:
    """Warn where a document's own codes rebuild its text hardly better than another's."""
    if "rebuilding" not in report:
        return []
    codes, other = (report["rebuilding"][name]["nats"] for name in ("codes", "shuffled codes"))
    return [] if codes <= other - 0.05 else [HARDLY]


def quality_table(report: dict[str, Any]) -> list[str]:
    """Write the table of the learned IDs and, of LMIndexer, of residual K-means on the same encoder beside them."""
    measured = report["quality"]
    columns = list(measured.values())
    rows: list[tuple[str, ...]] = []

    def row(name: str, values: Iterable[float | None], form: str = ".3f") -> None:
        rows.append((name, *("-" if value is None else format(value, form) for value in values)))

    for t, codes in enumerate(zip(*(q["positions"] for q in columns), strict=True), start=1):
        row(f"perplexity of c{t} (of {codes[0]['size']})", (c["perplexity"] for c in codes), ".0f")
        row(f"codes used at c{t}", (c["used_share"] for c in codes), ".0%")
    row("documents in buckets of at most 5", (q["share_in_small_buckets"] for q in columns), ".1%")
    for labels in zip(*(q["labels"] for q in columns), strict=True):
        level = "leaf" if labels[0]["level"] == "leaf" else f"level {labels[0]['level']}"
        for depth, values in enumerate(zip(*(label["ami"] for label in labels), strict=True), start=1):
            row(f"AMI({_path(depth)}, {level}: {labels[0]['distinct']} labels)", values)
        precision = (label["hierarchical_precision"][0] for label in labels)
        row(f"pairs sharing c1 that share the {level} label", precision)
    for judge, name in (("words", "BM25"), ("embedding", "the vectors" if "vectors" in report else "the encoder")):
        shares = [q["neighbour_recall"].get(judge, []) for q in columns]
        for depth, values in enumerate(zip(*shares, strict=True), start=1):
            row(f"10 nearest by {name} that share {_path(depth)}", values)
    return table(("", *(NAMES.get(name, name) for name in measured)), rows, spaced=True)


def draw_curves(run: Run) -> None:
    """Draw curves.png: every quantity over all epochs of the run, stages one after another."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from lmindexer.files import write_atomically

    records = run.log_records()
    stages = list(dict.fromkeys(record["stage"] for record in records))
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained", sharex=True)
    for (name, title), axis in zip(CURVES, axes.flat, strict=True):
        for colour, stage in enumerate(stages):
            points = [(i, r[name]) for i, r in enumerate(records, 1) if r["stage"] == stage and r.get(name) is not None]
            if points:
                axis.plot(*zip(*points, strict=True), f"C{colour}o-", markersize=3, label=stage)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    handles = {label: h for axis in axes.flat for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=8)
    write_atomically(run.path / "curves.png", lambda path: figure.savefig(path, dpi=130))
    plt.close(figure)


def _path(depth: int) -> str:
    return "c1" if depth == 1 else "(" + ", ".join(f"c{t}" for t in range(1, depth + 1)) + ")"
