"""The report of a run: report.md for people, curves.png beside it (Figure 4's quantities as they went)."""

from typing import Any

from lmindexer.explore.tree import TreeNode, to_markdown
from lmindexer.runs import Run

CURVES = (
    ("reconstruction", "reconstruction loss, nats a token"),
    ("macro_f1", "Macro-F1 of rebuilt tokens"),
    ("perplexity", "perplexity of the codes"),
    ("sharing", "share of documents that share their path"),
)


def write_report(run: Run, tree: TreeNode) -> None:
    """report.md and curves.png from report.json and log.jsonl."""
    draw_curves(run)
    report = run.read_json("report.json")
    config = (run.path / "config.toml").read_text(encoding="utf-8").strip()
    lines = [f"# {run.path.resolve().name}", "", "```toml", config, "```", ""]
    lines += ["## Quality", "", *quality_table(report), "", *summary(report), ""]
    lines += [
        "## Training",
        "",
        "![training curves](curves.png)",
        "",
        "## The ID tree",
        "",
        to_markdown(tree),
        "",
    ]
    run.write_text("report.md", "\n".join(lines))


def summary(report: dict[str, Any]) -> list[str]:
    """What the numbers of report.json say, in sentences."""
    quality, rebuilding = report["quality"]["lmindexer"], report["rebuilding"]
    own, other, none = (rebuilding[name]["nats"] for name in ("codes", "shuffled codes", "hints alone"))
    gpu = report["peak_gpu_bytes"]
    memory = f"{report['peak_memory_bytes'] / 1e9:.1f} GB" + (f", GPU {gpu / 1e9:.1f} GB" if gpu else "")
    lines = [
        f"All {quality['documents']:,} IDs are unique; {quality['sharing']:,} documents share their learned codes "
        f"with another, at most {quality['largest_bucket']} together.",
        f"The final model by itself gives the table's codes to {report['agreement']['all']:.1%} of the documents.",
        f"Hidden tokens are rebuilt at {own:.2f} nats from hints and a document's own codes, {other:.2f} from "
        f"another document's codes, {none:.2f} from hints alone.",
        f"Took {report['seconds'] / 60:.1f} minutes and {memory} of memory.",
    ]
    if own > other - 0.05:
        lines.append("Warning: the codes hardly help to rebuild the text; try more --epochs or fewer --hints.")
    return lines


def quality_table(report: dict[str, Any]) -> list[str]:
    """A Markdown table: the learned IDs beside K-means on the same encoder's mean-pooled embeddings."""
    learned, two_step = report["quality"]["lmindexer"], report["quality"]["kmeans"]
    rows = [("", "LMIndexer", "embed, then K-means"), ("---", "---:", "---:")]
    for t, (a, b) in enumerate(zip(learned["positions"], two_step["positions"], strict=True), start=1):
        rows.append((f"perplexity of c{t} (of {a['size']})", f"{a['perplexity']:.0f}", f"{b['perplexity']:.0f}"))
        rows.append((f"codes used at c{t}", f"{a['used_share']:.0%}", f"{b['used_share']:.0%}"))
    small = "documents in buckets of at most 5"
    rows.append((small, f"{learned['share_in_small_buckets']:.1%}", f"{two_step['share_in_small_buckets']:.1%}"))
    for a, b in zip(learned["labels"], two_step["labels"], strict=True):
        level = f"{a['level']}" if a["level"] == "leaf" else f"level {a['level']}"
        for depth, (x, y) in enumerate(zip(a["ami"], b["ami"], strict=True), start=1):
            rows.append((f"AMI({_path(depth)}, {level}: {a['distinct']} labels)", _number(x), _number(y)))
        x, y = a["hierarchical_precision"][0], b["hierarchical_precision"][0]
        rows.append((f"pairs sharing c1 that share the {level} label", _number(x), _number(y)))
    for judge, name in (("words", "TF-IDF"), ("embedding", "the encoder")):
        for depth, (x, y) in enumerate(
            zip(*(q["neighbour_recall"][judge] for q in (learned, two_step)), strict=True), 1
        ):
            rows.append((f"10 nearest by {name} that share {_path(depth)}", _number(x), _number(y)))
    return ["| " + " | ".join(row) + " |" for row in rows]


def draw_curves(run: Run) -> None:
    """curves.png: each quantity over all epochs of the run, stages one after another."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from lmindexer.files import write_atomically

    records = run.log_records()
    stages = list(dict.fromkeys(record["stage"] for record in records))
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained", sharex=True)
    for (name, title), axis in zip(CURVES, axes.flat, strict=True):
        for colour, stage in enumerate(stages):
            points = [(i, r[name]) for i, r in enumerate(records, 1) if r["stage"] == stage and name in r]
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
