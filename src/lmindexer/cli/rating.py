"""The verbs of the human evaluation (Table 13): pairs makes a blinded sheet, score reads it filled."""

from pathlib import Path

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import TABLE_ENDS, format_to_write, make_room, write_or_print
from lmindexer.cli.options import option
from lmindexer.errors import InputError
from lmindexer.files import json_text


@app.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--n", "n", default=20, type=click.IntRange(min=1), metavar="INT",
        help="How many pairs to draw of a run.")  # fmt: skip
@option("--depth", default=2, type=click.IntRange(min=1), metavar="INT",
        help="How many first codes the two documents of a pair share.")  # fmt: skip
@option("--seed", default=0, metavar="INT", help="Another seed draws other pairs.")
@option("--out", required=True, type=click.Path(path_type=Path),
        help="The sheet: .html to rate in a browser, .csv for a spreadsheet.")  # fmt: skip
def pairs(runs: tuple[Path, ...], n: int, depth: int, seed: int, out: Path) -> None:
    """Make a blinded sheet of random pairs of documents that share their first codes.

    Give it to people who say of each pair whether the two are related. The sheet does not tell which run a
    pair comes from; the key beside it does, and lmindexer score reads it.

    \b
    Example:
      lmindexer pairs runs/beauty runs/beauty-rq-vae --n 20 --out pairs.html
    """
    from lmindexer.runs import Run, names_of

    opened = [Run.open(run) for run in runs]
    make_room(out)
    from lmindexer.evaluation.pairs import sample_pairs
    from lmindexer.evaluation.sheet import write_sheet
    from lmindexer.indexers.store import documents_and_ids

    names, tables = names_of(runs), {}
    texts: dict[str, str] = {}
    for name, run in zip(names, opened, strict=True):
        corpus, tables[name] = documents_and_ids(run)
        for document in corpus:
            if texts.setdefault(document.id, document.text) != document.text:
                raise InputError(
                    f"{document.id!r} has another text in {run.path} than in a run before it; name runs of the same "
                    "documents"
                )
    sample = sample_pairs(tables, texts.__getitem__, n, depth, seed)
    key = write_sheet(out, sample, dict(zip(names, map(str, runs), strict=True)))
    for note in sample.notes:
        click.echo(note, err=True)
    click.echo(f"{len(sample.pairs)} pairs in {out}; keep {key} from those who rate")


@app.command()
@click.argument("sheets", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--key", type=click.Path(path_type=Path), help="The key of the sheet, where it is not beside it.")
@option("--format", "named", type=click.Choice(["markdown", "json"]),
        help="Form of the output. [as --out ends, else markdown]")  # fmt: skip
@option("--out", type=click.Path(path_type=Path), help="The file to write, .md or .json; the screen by default.")
def score(sheets: tuple[Path, ...], key: Path | None, named: str | None, out: Path | None) -> None:
    """Score filled sheets of pairs: the share rated related, per run.

    One sheet a rater; several show how much raters agree.

    \b
    Example:
      lmindexer score pairs-anna.csv pairs-ben.csv --key pairs.key.json
    """
    kind = format_to_write(out, named, TABLE_ENDS, "markdown")
    if out is not None:
        make_room(out)

    from lmindexer.evaluation.sheet import score_sheets

    scores = score_sheets(list(sheets), key)
    as_json = kind == "json"
    text = json_text(scores.to_dict(), indent=2, ensure_ascii=False) if as_json else scores.to_markdown()
    write_or_print(text, kind, out)
