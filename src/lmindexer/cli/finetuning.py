"""The verb that teaches a task: finetune."""

import sys
from pathlib import Path
from typing import Any

import click

from lmindexer.cli.app import app
from lmindexer.config import FinetuneConfig
from lmindexer.flags import Grouped, resolve, settings


@app.command(cls=Grouped)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("sequences", required=False, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder to make.")
@click.option("--queries", type=click.Path(path_type=Path),
              help="search: a BEIR folder, or JSONL of queries (with their documents, or with --qrels).")  # fmt: skip
@click.option("--qrels", type=click.Path(path_type=Path),
              help="search: judgements, a file, or a folder with train.tsv, dev.tsv, test.tsv.")  # fmt: skip
@click.option("--pseudo", multiple=True, type=click.Path(path_type=Path),
              help="search: pseudo-queries to train on, too, as lmindexer pseudo writes them.")  # fmt: skip
@click.option("--sources", default="", metavar="TEXT,...", help="Of --pseudo, only those of these sources.")
@click.option("--keep-going", is_flag=True,
              help="Go on even if most of what users took is of unknown documents.")  # fmt: skip
@click.option("--config", "recipe", type=click.Path(path_type=Path), help="A TOML file with the settings below.")
@click.option("--resume", is_flag=True,
              help="Go on with a fine-tuning that was stopped; start it if there is none.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print nothing but notes, warnings and errors.")
@settings(FinetuneConfig)
def finetune(run: Path, sequences: Path | None, out: Path, queries: Path | None, qrels: Path | None,
             pseudo: tuple[Path, ...], sources: str, keep_going: bool, recipe: Path | None,
             resume: bool, quiet: bool, **given: Any) -> None:  # fmt: skip
    """Teach the model of RUN to recommend from histories, or to search from queries.

    SEQUENCES has a user and what they took on each line, oldest first; the last item of each is for the test,
    the last but one for dev. Works on a run of any --indexer. The new run has all that RUN has.

    \b
    Examples:
      lmindexer finetune runs/beauty sequences.txt.gz --out runs/beauty-rec
      lmindexer finetune runs/squad --queries squad/ --out runs/squad-search
    """
    from lmindexer import parallel
    from lmindexer.methods.taught import is_finetuned, read_config
    from lmindexer.progress import Progress
    from lmindexer.runs import Run
    from lmindexer.teaching.fine_tuning import finetune as teach

    parallel.join()
    task = "search" if sequences is None else "recommend"
    begun = (out, read_config(out)) if resume and Run.is_begun(out) and is_finetuned(out) else None
    config = resolve(FinetuneConfig, recipe, given, begun, {"task": task})
    parallel.wait()  # of several processes none writes before all have looked
    named = tuple(part.strip() for part in sources.split(",") if part.strip())
    try:
        teach(run, out, sequences=sequences, queries=queries, qrels=qrels, pseudo=pseudo, sources=named,
              keep_going=keep_going, config=config, resume=resume,
              progress=Progress(None if quiet else sys.stderr, warnings=sys.stderr)
              if parallel.is_first() else Progress(None))  # fmt: skip
    except KeyboardInterrupt:
        click.echo(f"\nstopped; the same command with --resume goes on with {out}", err=True)
        sys.exit(130)
    if quiet or not parallel.is_first():
        return
    made = Run.open(out)
    facts = made.read_json("finetune.json")
    with made.trusting("finetune.json"):
        at = (", ".join(f"{name} {value:g}" for name, value in facts["chosen"].items()) if "chosen" in facts
              else f"epoch {facts['best_epoch']:g}, learning rate {facts['best_rate']:g}")  # fmt: skip
        click.echo(f"dev {facts['dev_metric']} {facts['best']:.4f} at {at}")
    asked = "--history id,id" if config.task == "recommend" else '"your query"'
    click.echo(f"Run folder: {out}\nNext: lmindexer search {out} {asked}   lmindexer evaluate {out}")
