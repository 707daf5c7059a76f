"""The verbs that learn: learn and demo."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import READ_BY, how_to_read, tell_skipped
from lmindexer.cli.looking import show, tree_of
from lmindexer.cli.options import option
from lmindexer.config import DATA, LearnConfig
from lmindexer.errors import InputError
from lmindexer.flags import Grouped, resolve, settings

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.progress import Progress
    from lmindexer.runs import Run

# Where the demo differs from the defaults: a minute on two busy cores is enough for it.
DEMO: dict[str, Any] = {
    "max_tokens": 64,
}
DEMO_DOCUMENTS = 1500


@app.command(cls=Grouped)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder to make.")
@click.option("--config", "recipe", type=click.Path(path_type=Path), help="A TOML file with the settings below.")
@click.option("--resume", is_flag=True,
              help="Go on with a run that was stopped, with its own settings; start it if there is none.")  # fmt: skip
@how_to_read
@click.option("--quiet", is_flag=True, help="Print nothing but notes, warnings and errors.")
@settings()
def learn(files: tuple[Path, ...], out: Path, recipe: Path | None, resume: bool, quiet: bool, **given: Any) -> None:
    """Learn the IDs of the documents in FILES.

    FILES are JSON, CSV, TSV or Parquet, plain or packed, or folders of such files. IDs, model and report
    go to the run folder named by --out. Flags win over the settings of --config.

    \b
    Example:
      lmindexer learn items.jsonl.gz --text title,brand --label categories --out runs/beauty
      lmindexer learn items.jsonl --indexer rq-vae --embeddings vectors.parquet --out runs/images
    """
    begun = _begun(out, resume)
    reading = {name: given.pop(name) for name in READ_BY}
    config = resolve(LearnConfig, recipe, given, (out, begun.config) if begun else None)
    from lmindexer.corpus.documents import Corpus
    from lmindexer.indexers.store import columns_of
    from lmindexer.parallel import is_first

    progress = _progress(quiet)
    progress.say(f"reading {', '.join(map(str, files))}")
    like = columns_of(begun) if begun else None
    corpus = Corpus.read(list(files), text=config.text, id=config.id, label=config.label, like=like,
                         textless=config.given_vectors, **reading)  # fmt: skip
    if is_first():
        tell_skipped(corpus)
    _fit(corpus, config, out, begun, progress, quiet)


@app.command(cls=Grouped)
@option("--out", default="runs/demo", type=click.Path(path_type=Path), help="The run folder to make.")
@option("--limit", type=click.IntRange(min=2), metavar="INT",
        help=f"How many docstrings to take at most. [{DEMO_DOCUMENTS}]")  # fmt: skip
@option("--resume", is_flag=True, help="Go on with a demo that was stopped; start it if there is none.")
@settings(leave_out=DATA, **DEMO)
def demo(out: Path, limit: int | None, resume: bool, **given: Any) -> None:
    """Learn IDs of real text that is on every machine.

    The text is the documentation of the installed Python packages. Takes a few minutes on two CPU cores,
    downloads nothing, and shows the ID tree at the end.

    \b
    Example:
      lmindexer demo
    """
    begun = _begun(out, resume)
    config = resolve(LearnConfig, None, given, (out, begun.config) if begun else None, DEMO)
    from lmindexer.corpus.sources import installed_python_documentation

    progress = _progress()
    progress.say("reading the documentation of the installed Python packages")
    limit = limit or (begun.facts["corpus"]["documents"] if begun else DEMO_DOCUMENTS)
    _fit(installed_python_documentation(limit=limit), config, out, begun, progress)


def _begun(out: Path, resume: bool) -> "Run | None":
    """The run to go on with; None where a new one is to be made, and then `out` must be free.

    Of several processes all have seen the same when this returns.
    """
    from lmindexer import parallel

    parallel.join()
    begun = _begun_at(out, resume)
    parallel.wait()
    return begun


def _begun_at(out: Path, resume: bool) -> "Run | None":
    from lmindexer.runs import Run

    if resume and Run.is_begun(out):
        begun = Run.open(out, finished=False)
        if begun.is_finetuning:
            raise InputError(f"{out} is a fine-tuning, not a run that learns IDs; go on with: {begun.way_on}")
        return begun
    Run.check_free(out)
    return None


def _progress(quiet: bool = False) -> "Progress":
    """What is told of learning: by the first of several processes alone."""
    from lmindexer.parallel import is_first
    from lmindexer.progress import Progress

    return Progress(None if quiet else sys.stderr, warnings=sys.stderr) if is_first() else Progress(None)


def _fit(corpus: "Corpus", config: LearnConfig, out: Path, begun: "Run | None", progress: "Progress",
         quiet: bool = False) -> None:  # fmt: skip
    progress.say(f"{len(corpus):,} documents read")
    from lmindexer.indexers.registry import make_indexer
    from lmindexer.parallel import is_first

    if begun is not None and is_first():
        begun.sweep()
    try:
        indexer = make_indexer(config).fit(corpus, out=out, resume=begun is not None, progress=progress)
    except KeyboardInterrupt:
        click.echo(f"\nstopped; the same command with --resume goes on with {out}", err=True)
        sys.exit(130)
    if not is_first():
        return
    assert indexer.run is not None
    if indexer.ids is None:
        if not quiet:
            click.echo(f"Run folder: {out}   (documents without IDs)")
            click.echo(f'Next: lmindexer search {out} "your query" --method bm25')
        return
    tree = tree_of(indexer.run, corpus, indexer.ids, 12, 3, 2)
    if quiet:
        from lmindexer.explore.report import helps_little, report_of

        progress.warn(*helps_little(report_of(indexer.run)))  # of all else the indexer has warned
        return
    show(indexer.run, tree)
    theirs = " --embeddings NEW_VECTORS" if config.given_vectors else ""
    click.echo(f"\nRun folder: {out}   (report.md, ids.parquet, ids.jsonl)")
    click.echo(f"Next: lmindexer inspect {out}   lmindexer explore {out}   lmindexer index {out} NEW_FILE{theirs}")
