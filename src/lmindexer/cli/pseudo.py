"""The verb that makes queries to train on: pseudo."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import make_room, steps
from lmindexer.cli.options import option
from lmindexer.config import WriterConfig, WritingConfig
from lmindexer.errors import InputError
from lmindexer.flags import Grouped, settings
from lmindexer.methods.registry import METHODS, PARTNERS, TEXT
from lmindexer.settings import check_counting, parse

FILTERS = tuple(name for name in PARTNERS if TEXT in METHODS[name].reads)


@app.command(cls=Grouped)
@click.argument("run", type=click.Path(path_type=Path))
@option("--out", type=click.Path(path_type=Path), help="The file to write (.jsonl); with --train it may be left out.")
@option("--ways", default="", metavar="TEXT,...",
        help="Ways to make queries without a model: title, first-sentence, spans, words, passage.")  # fmt: skip
@option("--model", metavar="TEXT",
        help="A seq2seq model that writes queries, as docT5query: a name on the hub or a folder.")  # fmt: skip
@option("--column", metavar="TEXT", help="Column of queries in your own data, of strings or lists of them.")
@option("--files", type=click.Path(path_type=Path), help="The file or folder that has --column.")
@option("--id", default="", metavar="TEXT", help="Column of the id in --files, where it differs from the run's.")
@option("--per-document", default=3, type=click.IntRange(min=1), metavar="INT",
        help="At most so many queries of each way and of --model; of --column all are taken.")  # fmt: skip
@option("--keep-found", type=click.IntRange(min=1), metavar="INT",
        help="Keep a query only if --by finds its document with it among so many first (a round trip).")  # fmt: skip
@option("--by", type=click.Choice(FILTERS), help="The method of --keep-found. [bm25]")
@option("--train", "queries", type=click.Path(path_type=Path),
        help="First train --model on these queries and their documents: a BEIR folder, or JSONL.")  # fmt: skip
@option(
    "--qrels", type=click.Path(path_type=Path), help="The judgements of --train, where they are files of their own."
)
@option("--model-out", type=click.Path(path_type=Path),
        help="The folder of the model that --train makes; a later --model takes it.")  # fmt: skip
@option("--resume", is_flag=True, help="Go on with a training or a writing of --model that was stopped.")
@option("--seed", default=0, type=click.IntRange(min=0), metavar="INT",
        help="Another seed draws other queries.")  # fmt: skip
@option("--device", default="auto", metavar="TEXT", help="Where --model runs: cpu, cuda, ...")
@option("--precision", default="auto", type=click.Choice(["auto", "fp32", "bf16"]),
        help="Whether --model multiplies in bfloat16; auto does where the machine does it well.")  # fmt: skip
@settings(WritingConfig, leave_out="Machine")
@settings(WriterConfig, leave_out="Machine")
def pseudo(run: Path, out: Path | None, ways: str, model: str | None, column: str | None, files: Path | None, id: str,
           per_document: int, keep_found: int | None, by: str | None, queries: Path | None, qrels: Path | None,
           model_out: Path | None, resume: bool, seed: int, device: str, precision: str,
           **given: Any) -> None:  # fmt: skip
    """Make queries for the documents of RUN, to train on.

    Each line is a query and the document it asks for, as lmindexer evaluate --queries reads it; 'source' tells
    how it was made. Ways: title, the opening of the text; first-sentence, behind the title; spans, telling
    phrases; words, a few telling words as if typed; passage, up to 64 words from anywhere. A run keeps a
    document's columns as one text, so where its title ends is a guess: --column title --files FILE has it exactly.
    With --train a model learns to write the queries of your own data first; --model bundled will do.

    \b
    Examples:
      lmindexer pseudo runs/beauty --ways title,spans,words --keep-found 10 --out pseudo.jsonl
      lmindexer pseudo runs/squad --model google/mt5-small --train squad/ --model-out writer --out pseudo.jsonl
    """
    given = {name: value for name, value in given.items() if value is not None}
    on: dict[str, Any] = {"seed": seed, "device": device, "precision": precision}
    writing, training = (_of(kind, given) for kind in (WritingConfig, WriterConfig))
    _check_flags(model, queries, qrels, model_out, out, writing, training)
    if by is not None and keep_found is None:
        raise InputError("--by is the method of --keep-found; give that, too")
    from lmindexer.questions.pseudo_queries import check_ways
    from lmindexer.runs import Run

    named = tuple(way.strip() for way in ways.split(",") if way.strip())
    check_ways(named)
    N = Run.open(run).facts["corpus"]["documents"]
    if out is not None:
        make_room(out)
    try:
        if queries is not None and model is not None and model_out is not None:
            from lmindexer.teaching.writer import train_writer

            train_writer(run, model, model_out, queries=queries, qrels=qrels, resume=resume, **on, **training)
            model = str(model_out)
        if out is None:
            return
        from lmindexer.teaching.pseudo import make_pseudo_queries

        with steps(lines=True) as progress:
            found = make_pseudo_queries(
                run, out, ways=named, model=model, column=column, files=files, id=id, per_document=per_document,
                keep_found=keep_found or 0, by=by or "bm25", resume=resume, progress=progress, **on, **writing,
            )  # fmt: skip
    except KeyboardInterrupt:
        if model is None:
            raise
        click.echo("\nstopped; the same command with --resume goes on", err=True)
        sys.exit(130)
    for source in [*(["column"] if column else []), *(["model"] if model else []), *dict.fromkeys(named)]:
        doc_ids = [query.doc_id for query in found if query.source == source]
        click.echo(f"{source}: {len(doc_ids):,} queries; {N - len(set(doc_ids)):,} documents gave none", err=True)
    missing = N - len({query.doc_id for query in found})
    click.echo(f"{len(found):,} queries in {out}; {missing:,} of {N:,} documents have none", err=True)


def _of(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the flags that are settings of this kind."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in given.items() if name in names}


def _check_flags(
    model: str | None, queries: Path | None, qrels: Path | None, model_out: Path | None, out: Path | None,
    writing: Mapping[str, Any], training: Mapping[str, Any],
) -> None:  # fmt: skip
    """Raise InputError where a flag counts for nothing, or one is missing."""
    if queries is None and (training or qrels is not None or model_out is not None):
        flag = next(iter(training), "qrels" if qrels is not None else "model-out").replace("_", "-")
        raise InputError(f"--{flag} is of training; name the queries to train on with --train, or leave it out")
    if queries is not None and (model is None or model_out is None):
        raise InputError("--train makes a model; name what it begins as with --model, and its folder with --model-out")
    check_counting(parse(WritingConfig, writing, "the command line"), writing, "the command line")
    if out is None and queries is None:
        raise InputError("name the file to write with --out")
    if out is not None and out.suffix.lower() != ".jsonl":
        raise InputError(f"cannot tell the format of --out {out}; end it in .jsonl")
