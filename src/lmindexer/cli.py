"""The command line: one function a verb. Heavy imports happen inside, so that --help is immediate."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from lmindexer.config import LearnConfig, element_type, from_mapping, read_toml
from lmindexer.errors import InputError

FORMATS = ("jsonl", "csv", "parquet")


class Grouped(click.Command):
    """A command whose --help lists its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class Setting(click.Option):
    """An option made from a field of LearnConfig."""

    def __init__(self, field: "dataclasses.Field[Any]") -> None:
        kind, many = element_type(field)
        flag = "--" + field.name.replace("_", "-")
        default = ",".join(map(str, field.default)) if many else field.default  # type: ignore[arg-type]
        told = {True: "on", False: "off"}.get(default, default) if isinstance(default, bool) else default
        help = field.metadata["help"] + (f" [{told}]" if told not in ("", None) else "")
        if kind is bool and not many:
            super().__init__([f"{flag}/--no-{flag[2:]}"], default=None, help=help)
        else:
            choices = field.metadata["choices"]
            metavar = "|".join(choices) if choices else f"{kind.__name__.upper()}{',...' if many else ''}"
            super().__init__([flag], type=str, default=None, help=help, metavar=metavar.replace("STR", "TEXT"))
        self.group = field.metadata["group"]


def settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add one option for every setting of LearnConfig."""
    for field in reversed(dataclasses.fields(LearnConfig)):
        command.__dict__.setdefault("__click_params__", []).append(Setting(field))
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lmindexer")
def app() -> None:
    """Learn IDs that mean something for your documents, and look at them.

    \b
    Start here:   lmindexer demo
    Your data:    lmindexer learn items.jsonl --text title,brand --out runs/items
                  lmindexer inspect runs/items
    """


@app.command(cls=Grouped)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder to make.")
@click.option("--config", "recipe", type=click.Path(path_type=Path), help="A TOML file with the settings below.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped, from its last checkpoint.")
@click.option("--skip-bad", is_flag=True, help="Leave out broken records and count them, instead of stopping.")
@click.option("--keep-empty", is_flag=True, help="Give an ID also to documents without any text.")
@click.option("--quiet", is_flag=True, help="Print no progress.")
@settings
def learn(files: tuple[Path, ...], out: Path, recipe: Path | None, resume: bool, skip_bad: bool, keep_empty: bool,
          quiet: bool, **given: Any) -> None:  # fmt: skip
    """Learn the IDs of the documents in FILES and write them to a run folder.

    FILES are JSONL, CSV, TSV or Parquet, plain or .gz, or folders of such files.

    \b
    lmindexer learn items.jsonl.gz --text title,brand --label categories --out runs/beauty
    """
    from lmindexer.corpus.documents import Corpus
    from lmindexer.progress import Progress

    config = _config(recipe, given)
    progress = Progress(None if quiet else sys.stderr)
    corpus = Corpus.read(list(files), text=config.text, id=config.id, label=config.label, skip_bad=skip_bad,
                         keep_empty=keep_empty)  # fmt: skip
    for reason, count in corpus.skipped_reasons.items():
        progress.say(f"skipped {count:,}: {reason}")
    _fit(corpus, config, out, resume, progress)


@app.command(cls=Grouped)
@click.option("--out", default="runs/demo", show_default=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option("--documents", default=5000, show_default=True, help="How many docstrings to take.")
@click.option("--resume", is_flag=True, help="Go on with a demo that was stopped.")
@settings
def demo(out: Path, documents: int, resume: bool, **given: Any) -> None:
    """Learn IDs of real text that is on every machine: the documentation of the installed Python packages.

    Takes a few minutes on two CPU cores, downloads nothing, and shows the ID tree at the end.

    \b
    lmindexer demo
    """
    from lmindexer.corpus.sources import installed_python_documentation
    from lmindexer.progress import Progress

    config = _config(None, {"sizes": "128,128", "max_tokens": "64"} | {k: v for k, v in given.items() if v is not None})
    progress = Progress()
    progress.say("reading the documentation of the installed Python packages")
    _fit(installed_python_documentation(limit=documents), config, out, resume, progress)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write here (.jsonl, .csv or .parquet), not to the screen.")
@click.option("--id", default="", help="Column of the document's id, where it differs from the run's.")
@click.option("--text", default="", help="Columns of the text, where they differ from the run's.")
@click.option("--skip-bad", is_flag=True, help="Leave out broken records and count them.")
@click.option("--keep-empty", is_flag=True, help="Give an ID also to documents without any text.")
def index(run: Path, files: tuple[Path, ...], out: Path | None, id: str, text: str, skip_bad: bool,
          keep_empty: bool) -> None:  # fmt: skip
    """Give IDs to the documents in FILES, also to ones the model has never seen. The run stays as it is.

    \b
    lmindexer index runs/beauty new_items.jsonl --out new_ids.jsonl
    """
    from lmindexer.corpus.documents import Corpus
    from lmindexer.indexers.lmindexer import LMIndexer

    if out is not None and _format(out) not in FORMATS:
        raise InputError(f"cannot tell the format of {out}; end it in .jsonl, .csv or .parquet")
    indexer = LMIndexer.load(run)
    columns = tuple(text.split(",")) if text else indexer.config.text
    corpus = Corpus.read(list(files), text=columns, id=id or indexer.config.id, skip_bad=skip_bad, keep_empty=keep_empty)
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
@click.option("--codes", default=12, show_default=True, help="How many first codes of the tree to show; 0: all.")
@click.option("--children", default=3, show_default=True, help="How many codes below each of them; 0: all.")
@click.option("--samples", default=2, show_default=True, help="How many sample documents a code.")
def inspect(run: Path, codes: int, children: int, samples: int) -> None:
    """Show the quality of a run's IDs and their tree: each code's size, telling words, sample documents.

    \b
    lmindexer inspect runs/beauty --codes 20
    """
    from lmindexer.ids.table import IdTable
    from lmindexer.indexers.store import load_documents
    from lmindexer.runs import Run

    folder = Run.open(run)
    corpus, ids = load_documents(folder), IdTable.load(run / "ids.parquet")
    _show(folder, corpus, ids, codes or None, children or None, samples)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; the screen by default (jsonl only).")
def export(run: Path, kind: str, out: Path | None) -> None:
    """Write the IDs of a run as JSONL ({"id": ..., "codes": [...]}), CSV or Parquet (one column a position).

    \b
    lmindexer export runs/beauty --format csv --out ids.csv
    """
    from lmindexer.ids.table import IdTable
    from lmindexer.runs import Run

    Run.open(run)
    ids = IdTable.load(run / "ids.parquet")
    if out is not None:
        ids.export(out, kind)
        click.echo(f"{len(ids):,} IDs in {out}", err=True)
    elif kind == "jsonl":
        for line in ids.jsonl_lines():
            click.echo(line)
    else:
        raise InputError(f"--format {kind} needs --out FILE")


def _config(recipe: Path | None, given: dict[str, Any]) -> LearnConfig:
    """The recipe's settings, then the flags'."""
    values = read_toml(recipe) if recipe is not None else {}
    from_mapping(values, str(recipe))
    flags = {name: _parsed(name, value) for name, value in given.items() if value is not None}
    return from_mapping(values | flags, "the command line")


def _parsed(name: str, value: Any) -> Any:
    kind, many = next(element_type(f) for f in dataclasses.fields(LearnConfig) if f.name == name)
    if isinstance(value, str) and not many and kind in (int, float):
        with contextlib.suppress(ValueError):
            return float(value) if kind is float else int(value)
    if isinstance(value, str) and many and kind in (int, float):
        with contextlib.suppress(ValueError):
            return [kind(part) for part in value.split(",")]
    return value


def _fit(corpus: Any, config: LearnConfig, out: Path, resume: bool, progress: Any) -> None:
    from lmindexer.indexers.lmindexer import LMIndexer

    indexer = LMIndexer(config).fit(corpus, out=out, resume=resume, progress=progress)
    assert indexer.run is not None
    assert indexer.ids is not None
    _show(indexer.run, corpus, indexer.ids, 12, 3, 2)
    click.echo(f"\nRun folder: {out}   (report.md, curves.png, ids.parquet, ids.jsonl)")
    click.echo(f"Next: lmindexer inspect {out}   lmindexer index {out} NEW_FILE")


def _show(run: Any, corpus: Any, ids: Any, codes: int | None, children: int | None, samples: int) -> None:
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


def _format(path: Path) -> str:
    return path.suffix.lstrip(".").lower()


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """A user's mistake is one sentence and exit code 2; a broken pipe or Ctrl-C is no error of ours."""
    try:
        yield
    except InputError as error:
        click.echo(f"lmindexer: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("\nstopped; go on with --resume", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def main() -> None:
    """Entry point of the console command."""
    with _mistakes():
        app(standalone_mode=True)


if __name__ == "__main__":
    main()
