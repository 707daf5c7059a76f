"""The command line: one function a verb. Heavy imports happen inside, so that --help is immediate."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.config import DATA, LearnConfig
from lmindexer.errors import InputError
from lmindexer.flags import Grouped, resolve, settings

if TYPE_CHECKING:
    from lmindexer.explore.tree import TreeNode
    from lmindexer.runs import Run

FORMATS = ("jsonl", "csv", "parquet")
# Where the demo differs from the defaults: ten minutes on two cores are enough for it.
DEMO: dict[str, Any] = {
    "sizes": (128, 128),
    "max_tokens": 64,
    "reconstructor_epochs": 2,
    "warmup_epochs": 1,
    "epochs": 4,
}
DEMO_DOCUMENTS = 5000


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="lmindexer")
@click.pass_context
def app(context: click.Context) -> None:
    """Learn IDs that mean something for your documents, and look at them.

    \b
    Start here:   lmindexer demo
    Your data:    lmindexer learn items.jsonl --text title,brand --out runs/items
                  lmindexer inspect runs/items
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@app.command(cls=Grouped)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder to make.")
@click.option("--config", "recipe", type=click.Path(path_type=Path), help="A TOML file with the settings below.")
@click.option("--resume", is_flag=True,
              help="Go on with a run that was stopped, with its own settings; start it if there is none.")  # fmt: skip
@click.option("--skip-bad", is_flag=True, help="Leave out broken records and count them, instead of stopping.")
@click.option("--keep-empty", is_flag=True, help="Give an ID also to documents without any text.")
@click.option("--quiet", is_flag=True, help="Print no progress.")
@settings()
def learn(files: tuple[Path, ...], out: Path, recipe: Path | None, resume: bool, skip_bad: bool, keep_empty: bool,
          quiet: bool, **given: Any) -> None:  # fmt: skip
    """Learn the IDs of the documents in FILES.

    FILES are JSONL, CSV, TSV or Parquet, plain or .gz, or folders of such files. IDs, model and report
    go to the run folder named by --out. Flags win over the settings of --config.

    \b
    Example:
      lmindexer learn items.jsonl.gz --text title,brand --label categories --out runs/beauty
    """
    begun = _begun(out, resume)
    config = resolve(recipe, given, begun)
    from lmindexer.corpus.documents import Corpus
    from lmindexer.progress import Progress

    progress = Progress(None if quiet else sys.stderr)
    corpus = Corpus.read(list(files), text=config.text, id=config.id, label=config.label, skip_bad=skip_bad,
                         keep_empty=keep_empty)  # fmt: skip
    _tell_skipped(corpus)
    _fit(corpus, config, out, begun, progress)


@app.command(cls=Grouped)
@click.option("--out", default="runs/demo", show_default=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option(
    "--documents", type=click.IntRange(min=2), metavar="INT", help=f"How many docstrings to take. [{DEMO_DOCUMENTS}]"
)
@click.option("--resume", is_flag=True, help="Go on with a demo that was stopped; start it if there is none.")
@settings(leave_out=DATA, **DEMO)
def demo(out: Path, documents: int | None, resume: bool, **given: Any) -> None:
    """Learn IDs of real text that is on every machine.

    The text is the documentation of the installed Python packages. Takes a few minutes on two CPU cores,
    downloads nothing, and shows the ID tree at the end.

    \b
    Example:
      lmindexer demo
    """
    begun = _begun(out, resume)
    config = resolve(None, given, begun, DEMO)
    from lmindexer.corpus.sources import installed_python_documentation
    from lmindexer.progress import Progress

    progress = Progress(sys.stderr)
    progress.say("reading the documentation of the installed Python packages")
    limit = documents or (begun.facts["corpus"]["documents"] if begun else DEMO_DOCUMENTS)
    _fit(installed_python_documentation(limit=limit), config, out, begun, progress)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write here (.jsonl, .csv or .parquet), not to the screen."
)
@click.option("--id", default="", help="Column of the document's id, where it differs from the run's.")
@click.option("--text", default="", help="Columns of the text, where they differ from the run's.")
@click.option("--skip-bad", is_flag=True, help="Leave out broken records and count them.")
@click.option("--keep-empty", is_flag=True, help="Give an ID also to documents without any text.")
def index(run: Path, files: tuple[Path, ...], out: Path | None, id: str, text: str, skip_bad: bool,
          keep_empty: bool) -> None:  # fmt: skip
    """Give IDs to documents, also to ones never seen.

    Documents that RUN has learned keep their IDs; the others in FILES get theirs from its model. The run
    itself stays as it is.

    \b
    Example:
      lmindexer index runs/beauty new_items.jsonl --out new_ids.jsonl
    """
    from lmindexer.runs import Run

    if out is not None:
        if _format(out) not in FORMATS:
            raise InputError(f"cannot tell the format of --out {out}; end it in .jsonl, .csv or .parquet")
        _make_room(out)
    Run.open(run)
    from lmindexer.corpus.documents import Corpus
    from lmindexer.indexers.lmindexer import LMIndexer

    indexer = LMIndexer.load(run)
    columns = tuple(map(str.strip, text.split(","))) if text else indexer.config.text
    corpus = Corpus.read(
        list(files), text=columns, id=id or indexer.config.id, skip_bad=skip_bad, keep_empty=keep_empty
    )
    _tell_skipped(corpus)
    ids = indexer.index(corpus)
    if out is not None:
        ids.export(out, _format(out))
    else:
        for line in ids.jsonl_lines():
            click.echo(line)
    assert indexer.ids is not None
    new = sum(doc_id not in indexer.ids for doc_id in ids)
    click.echo(f"{len(ids):,} documents, {new:,} of them new to the run", err=True)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--codes", default=12, show_default=True, type=click.IntRange(min=0), metavar="INT",
              help="How many first codes of the tree to show; 0: all.")  # fmt: skip
@click.option("--children", default=3, show_default=True, type=click.IntRange(min=0), metavar="INT",
              help="How many codes below each of them; 0: all.")  # fmt: skip
@click.option("--samples", default=2, show_default=True, type=click.IntRange(min=0), metavar="INT",
              help="How many sample documents a code.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path), help="Also draw the tree into this SVG file.")
def inspect(run: Path, codes: int, children: int, samples: int, svg: Path | None) -> None:
    """Show the quality and the tree of a run's IDs.

    Each code comes with its size, its most telling words, its most frequent label and sample documents.

    \b
    Example:
      lmindexer inspect runs/beauty --codes 20
    """
    from lmindexer.runs import Run

    folder = Run.open(run)
    from lmindexer.ids.table import IdTable
    from lmindexer.indexers.store import load_documents

    corpus, ids = load_documents(folder), IdTable.load(run / "ids.parquet")
    tree = _show(folder, corpus, ids, codes or None, children or None, samples)
    if svg is not None:
        from lmindexer.explore.tree import to_svg
        from lmindexer.files import write_text

        _make_room(svg)
        write_text(svg, to_svg(tree, f"{len(ids):,} documents"))


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; the screen by default (jsonl only).")
def export(run: Path, kind: str, out: Path | None) -> None:
    """Write the IDs of a run as JSONL, CSV or Parquet.

    JSONL has lines {"id": "B004756YJA", "codes": [17, 401, 0]}; CSV and Parquet have one column a position.

    \b
    Example:
      lmindexer export runs/beauty --format csv --out ids.csv
    """
    from lmindexer.ids.table import IdTable
    from lmindexer.runs import Run

    if out is None and kind != "jsonl":
        raise InputError(f"--format {kind} does not go to the screen; name a file with --out")
    Run.open(run)
    ids = IdTable.load(run / "ids.parquet")
    if out is not None:
        _make_room(out)
        ids.export(out, kind)
        click.echo(f"{len(ids):,} IDs in {out}", err=True)
    else:
        for line in ids.jsonl_lines():
            click.echo(line)


def _begun(out: Path, resume: bool) -> "Run | None":
    """The run to go on with; None where a new one is to be made, and then `out` must be free."""
    from lmindexer.runs import Run

    if resume and Run.is_begun(out):
        return Run.open(out, finished=False)
    Run.check_free(out)
    return None


def _fit(corpus: Any, config: LearnConfig, out: Path, begun: "Run | None", progress: Any) -> None:
    from lmindexer.indexers.lmindexer import LMIndexer

    if begun is not None:
        begun.sweep()
    try:
        indexer = LMIndexer(config).fit(corpus, out=out, resume=begun is not None, progress=progress)
    except KeyboardInterrupt:
        click.echo(f"\nstopped; the same command with --resume goes on with {out}", err=True)
        sys.exit(130)
    assert indexer.run is not None
    assert indexer.ids is not None
    _show(indexer.run, corpus, indexer.ids, 12, 3, 2)
    click.echo(f"\nRun folder: {out}   (report.md, curves.png, ids.parquet, ids.jsonl)")
    click.echo(f"Next: lmindexer inspect {out}   lmindexer index {out} NEW_FILE")


def _show(run: Any, corpus: Any, ids: Any, codes: int | None, children: int | None, samples: int) -> "TreeNode":
    from rich.console import Console
    from rich.markdown import Markdown

    from lmindexer.explore.report import quality_table, summary, write_report
    from lmindexer.explore.tree import build_tree, render

    tree = build_tree(ids, corpus.texts(), corpus.labels, codes=codes, children=children, samples=samples)
    if not (run.path / "report.md").exists():
        write_report(run, tree)
    report = run.read_json("report.json")
    console = Console(width=None if sys.stdout.isatty() else 110)
    render(tree, console)
    console.print(Markdown("\n".join(quality_table(report))))
    for line in summary(report):
        console.print(line)
    return tree


def _tell_skipped(corpus: Any) -> None:
    for reason, count in corpus.skipped_reasons.items():
        click.echo(f"skipped {count:,}: {reason}", err=True)


def _make_room(out: Path) -> None:
    """The folder of a file to be written, made where it is missing."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder of --out {out} ({error.strerror}); choose another") from None


def _format(path: Path) -> str:
    return path.suffix.lstrip(".").lower()


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """A user's mistake is one sentence and exit code 2; Ctrl-C is no error."""
    try:
        yield
    except InputError as error:
        _refuse(str(error))
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx is not None else "lmindexer"
        _refuse(f"{error.format_message().rstrip('.')}; see {verb} --help")
    except BrokenPipeError:  # `lmindexer inspect RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _refuse(f"{what}; check the path and its permissions")
    except click.Abort:  # Ctrl-C
        sys.exit(130)


def _refuse(sentence: str) -> None:
    click.echo(f"lmindexer: {sentence}", err=True)
    sys.exit(2)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console command."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin make a busy machine crawl
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    with _mistakes():
        app(arguments, prog_name="lmindexer", standalone_mode=False)


if __name__ == "__main__":
    main()
