"""The verb that makes queries to train on: pseudo."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import make_room, steps
from lmindexer.cli.options import option
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.questions.pseudo_queries import PseudoQuery


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@option("--out", required=True, type=click.Path(path_type=Path), help="The file to write (.jsonl).")
@option("--ways", default="", metavar="TEXT,...",
        help="Ways to make queries without a model: title, first-sentence, spans, words, passage.")  # fmt: skip
@option("--model", metavar="TEXT",
        help="A seq2seq model that writes queries, as docT5query: a name on the hub or a folder.")  # fmt: skip
@option("--column", metavar="TEXT", help="Column of queries in your own data, of strings or lists of them.")
@option("--files", "data", type=click.Path(path_type=Path), help="The file or folder that has --column.")
@option("--id", default="", metavar="TEXT", help="Column of the id in --files, where it differs from the run's.")
@option("--per-document", default=3, type=click.IntRange(min=1), metavar="INT",
        help="At most so many queries of each way and of --model; of --column all are taken.")  # fmt: skip
@option("--seed", default=0, type=click.IntRange(min=0), metavar="INT",
        help="Another seed draws other queries.")  # fmt: skip
@option("--device", default="auto", metavar="TEXT", help="Where --model runs: cpu, cuda, ...")
def pseudo(run: Path, out: Path, ways: str, model: str | None, column: str | None, data: Path | None, id: str,
           per_document: int, seed: int, device: str) -> None:  # fmt: skip
    """Make queries for the documents of RUN, to train on.

    Each line is a query and the document it asks for, as lmindexer evaluate --queries reads it; 'source' tells
    how it was made. Ways: title, the opening of the text; first-sentence, behind the title; spans, telling
    phrases; words, a few telling words as if typed; passage, up to 64 words from anywhere. A run keeps a
    document's columns as one text, so where its title ends is a guess: --column title --files FILE has it exactly.

    \b
    Example:
      lmindexer pseudo runs/beauty --ways title,spans,words --out pseudo.jsonl
    """
    named = [way.strip() for way in ways.split(",") if way.strip()]
    if not named and model is None and column is None:
        raise InputError("no kind of query was asked for; give --ways (such as title,spans,words), --model or --column")
    if (column is None) != (data is None):
        raise InputError("--column and --files belong together; give the column's name and the file that has it")
    if out.suffix.lower() != ".jsonl":
        raise InputError(f"cannot tell the format of --out {out}; end it in .jsonl")
    from lmindexer.runs import Run

    opened = Run.open(run)
    from lmindexer.indexers.store import load_documents
    from lmindexer.progress import Progress
    from lmindexer.questions.pseudo_queries import (
        check_ways,
        column_queries,
        model_queries,
        pseudo_queries,
        write_pseudo_queries,
    )

    check_ways(named)
    make_room(out)
    found: list[PseudoQuery] = []
    with steps() as progress:
        progress.doing("reading the documents")
        corpus = load_documents(opened)
        if column is not None and data is not None:  # first what a user may have got wrong
            progress.doing(f"reading {data}")
            of_column = column_queries(corpus, data, column, id or opened.config.id)
            found += of_column.queries
            progress.clear()
            for note in of_column.notes:
                click.echo(f"note: {note}", err=True)
        if model is not None:
            found += model_queries(corpus, model, per_document, seed, device=device, progress=Progress())
        if named:
            progress.doing(f"making queries of {len(corpus):,} documents")
            found += pseudo_queries(corpus, list(dict.fromkeys(named)), per_document, seed)
    if not found:
        raise InputError(f"no document of {run} gave a query; its texts are too short, so ask for another kind")
    write_pseudo_queries(out, found)
    sources = [*(["column"] if column else []), *(["model"] if model else []), *dict.fromkeys(named)]
    for source in sources:
        doc_ids = [query.doc_id for query in found if query.source == source]
        click.echo(
            f"{source}: {len(doc_ids):,} queries; {len(corpus) - len(set(doc_ids)):,} documents gave none", err=True
        )
    missing = len(corpus) - len({query.doc_id for query in found})
    click.echo(f"{len(found):,} queries in {out}; {missing:,} of {len(corpus):,} documents have none", err=True)
