"""The verbs that look at IDs: inspect, compare and explore."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import (
    TABLE_ENDS,
    format_to_write,
    make_room,
    print_markdown,
    steps,
    write_or_print,
)
from lmindexer.cli.options import option
from lmindexer.errors import InputError
from lmindexer.files import json_text

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.explore.tree import TreeNode
    from lmindexer.ids.table import IdTable
    from lmindexer.runs import Run


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@option("--codes", default=12, type=click.IntRange(min=0), metavar="INT",
        help="How many first codes of the tree to show; 0: all.")  # fmt: skip
@option("--children", default=3, type=click.IntRange(min=0), metavar="INT",
        help="How many codes below each of them; 0: all.")  # fmt: skip
@option("--examples", default=2, type=click.IntRange(min=0), metavar="INT",
        help="How many of the documents of a code to show.")  # fmt: skip
@option("--svg", type=click.Path(path_type=Path), help="Also draw the tree into this SVG file.")
@option("--format", "kind", type=click.Choice(["text", "json"]), default="text",
        help="Form of the output.")  # fmt: skip
def inspect(run: Path, codes: int, children: int, examples: int, svg: Path | None, kind: str) -> None:
    """Show the quality and the tree of a run's IDs.

    Each code comes with its size, its most telling words, its most frequent label and sample documents. JSON has
    all numbers of the run's report.json, and the same tree under "tree".

    \b
    Example:
      lmindexer inspect runs/beauty --codes 20
    """
    from lmindexer.runs import Run

    folder = Run.open(run)
    if svg is not None:
        make_room(svg, "--svg")
    from lmindexer.indexers.store import documents_and_ids

    with steps() as progress:
        progress.doing("reading the documents and making the tree")
        corpus, ids = documents_and_ids(folder)
        tree = tree_of(folder, corpus, ids, codes or None, children or None, examples)
    if kind == "json":
        from dataclasses import asdict

        from lmindexer.explore.report import report_of

        click.echo(json_text(report_of(folder) | {"tree": asdict(tree)}, ensure_ascii=False))
    else:
        show(folder, tree)
    if svg is not None:
        from lmindexer.explore.tree import to_svg
        from lmindexer.files import write_text

        write_text(svg, to_svg(tree, f"{len(ids):,} documents"))


@app.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--embeddings", "encoder", default="", metavar="TEXT",
         help="Judge also by nearest neighbours of these vectors: of an encoder ('bundled', a hub name or a folder), "
              "of a file (.parquet, .npy, .npz), or 'vectors', those that a RUN was learned from.")  # fmt: skip
@option("--resamples", default=200, type=click.IntRange(min=0), metavar="INT",
         help="Bootstrap resamples of the intervals; 0: no intervals.")  # fmt: skip
@option("--format", "named", type=click.Choice(["markdown", "json"]),
         help="Form of the output. [as --out ends, else markdown]")  # fmt: skip
@option("--out", type=click.Path(path_type=Path), help="The file to write, .md or .json; the screen by default.")
def compare(runs: tuple[Path, ...], encoder: str, resamples: int, named: str | None, out: Path | None) -> None:
    """Compare the IDs of RUNS, learned from the same documents, in one table.

    Use of the codes, uniqueness, agreement with labels and with nearest neighbours, with intervals, and
    warnings where a number can mislead. Runs that lmindexer evaluate asked the same questions have a second
    table: how well each answered, tested against the first.

    \b
    Example:
      lmindexer compare runs/beauty runs/beauty-rq-vae runs/beauty-hc
    """
    from lmindexer.runs import Run, names_of

    opened = [Run.open(run) for run in runs]
    names = names_of(runs)
    kind = format_to_write(out, named, TABLE_ENDS, "markdown")
    if out is not None:
        make_room(out)
    from lmindexer.explore.comparing import compare_runs

    with steps() as progress:
        progress.doing("reading the documents and what was evaluated")
        found = compare_runs(dict(zip(names, opened, strict=True)), embeddings=encoder, resamples=resamples,
                             progress=progress)  # fmt: skip
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    text = json_text(found.to_dict(), indent=2, ensure_ascii=False) if kind == "json" else found.to_markdown()
    write_or_print(text, kind, out)


@app.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--out", type=click.Path(path_type=Path), help="The page to write. [explore.html in the first RUN]")
@option("--figures", type=click.Path(path_type=Path),
        help="Write the paper's figures 3, 4 and 6 of RUNS into this folder, as SVG and PNG.")  # fmt: skip
def explore(runs: tuple[Path, ...], out: Path | None, figures: Path | None) -> None:
    """Make a page to walk through the ID tree of a run, or of two side by side.

    One HTML file that opens from disk and asks no network. With --figures only the figures are written, of
    one run or several.

    \b
    Example:
      lmindexer explore runs/beauty
      lmindexer explore runs/beauty runs/beauty-rq-vae --out beauty.html
    """
    from lmindexer.runs import Run, names_of

    if figures is not None and out is not None:
        raise InputError("--figures writes no page; leave out --out, or run again without --figures for the page")
    opened = [Run.open(run) for run in runs]
    from lmindexer.indexers.store import documents_and_ids

    names = names_of(runs)
    if figures is not None:
        with steps() as progress:
            progress.doing("drawing the figures")
            drawn = _draw_figures(figures, opened, names)
        for path in drawn:
            click.echo(str(path))
        return
    from lmindexer.explore.page import Shown, write_page

    out = out or runs[0] / "explore.html"
    make_room(out)
    shown = []
    with steps() as progress:
        for run, name in zip(opened, names, strict=True):
            progress.doing(f"reading the documents of {name}")
            corpus, table = documents_and_ids(run)
            shown.append(Shown(name, table, corpus.texts(), corpus.labels))
        progress.doing("counting words and writing the page")
        write_page(out, shown)
    from lmindexer.explore.comparing import of_other_documents

    for run in of_other_documents(opened):
        click.echo(
            f"note: {run.path} was learned from other texts or in another order; of a document that both have, the "
            f"text of {runs[0]} is shown",
            err=True,
        )
    click.echo(f"{out} ({out.stat().st_size / 1e6:.1f} MB); open it in a browser")


def _draw_figures(folder: Path, runs: "list[Run]", names: list[str]) -> list[Path]:
    """Figures 3 (each run that has labels), 4 (those that were trained in epochs) and 6 (all of them together)."""
    from lmindexer.explore.figures import curve_points, duplication_density, label_distribution, training_curves
    from lmindexer.indexers.store import documents_and_ids

    make_room(folder / "figure6.svg", "--figures")
    drawn: list[Path] = []
    tables = {}
    logs = {name: run.log_records() for name, run in zip(names, runs, strict=True)}
    for run, name in zip(runs, names, strict=True):
        corpus, table = documents_and_ids(run)
        tables[name] = table
        if corpus.labels is not None:
            stem = folder / (f"figure3-{name.strip('/').replace('/', '-')}" if len(runs) > 1 else "figure3")
            drawn += label_distribution(table, corpus.labels, stem, texts=corpus.texts())
        else:
            click.echo(f"{name} has no labels, hence no figure 3; learn it with --label", err=True)
    if trained := {name: records for name, records in logs.items() if curve_points(records, 0, "perplexity")}:
        drawn += training_curves(trained, folder / "figure4")
    return drawn + list(duplication_density(tables, folder / "figure6"))


def tree_of(run: "Run", corpus: "Corpus", ids: "IdTable", codes: int | None, children: int | None,
            samples: int) -> "TreeNode":  # fmt: skip
    """The tree of a run's IDs; report.md is written where there is none yet."""
    from lmindexer.explore.report import write_report
    from lmindexer.explore.tree import build_tree
    from lmindexer.runs import ReadOnlyError, writing

    tree = build_tree(ids, corpus.texts(), corpus.labels, codes=codes, children=children, samples=samples)
    if not (run.path / "report.md").exists():
        try:
            with writing(run.path, wait=False):
                write_report(run, tree)
        except ReadOnlyError as error:
            click.echo(f"note: report.md is not kept ({error})", err=True)
    return tree


def show(run: "Run", tree: "TreeNode") -> None:
    """Print the tree and the quality of a run's IDs."""
    from rich.console import Console

    from lmindexer.explore.report import quality_table, report_of, summary
    from lmindexer.explore.tree import render

    report = report_of(run)
    console = Console(width=None if sys.stdout.isatty() else 110)
    render(tree, console)
    print_markdown("\n" + "\n".join(quality_table(report)) + "\n")
    for line in summary(report):
        console.print(line)
    if run.facts.get("changed_since_learned"):
        console.print("Documents came or went since: the numbers are of the documents as they were learned.")
