"""The verbs that give, change and write IDs, and find whose one is: index, add, remove, export, lookup."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import (
    columns_in,
    document_line,
    format_to_write,
    how_to_read,
    lines_of,
    make_room,
    read_like,
    steps,
    tell_skipped,
    their_vectors,
)
from lmindexer.cli.options import option
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.ids.table import IdTable

ENDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
INDEX = "index.json"  # of LETTER and LC-Rec
TOKENS = "tokens"  # a folder
FORMATS = ("jsonl", "csv", "parquet", INDEX, TOKENS)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path())
@option("--out", type=click.Path(path_type=Path),
        help="Write here (.jsonl, .csv or .parquet; with ray a folder), not to the screen.")  # fmt: skip
@option("--id", default="", help="Column of the document's id, where it differs from the run's.")
@option("--text", default="", metavar="TEXT,...", help="Columns of the text, where they differ from the run's.")
@option("--engine", type=click.Choice(["local", "ray"]), default="local",
        help="What does the work: this process, or the workers of a Ray cluster, a file at a time.")  # fmt: skip
@option("--workers", type=click.IntRange(min=1), metavar="INT",
        help="Of ray: how many models work at once. [one a GPU, else one a processor]")  # fmt: skip
@their_vectors
@how_to_read
def index(run: Path, files: tuple[str, ...], out: Path | None, id: str, text: str, engine: str, workers: int | None,
          embeddings: Path | None, **reading: bool) -> None:  # fmt: skip
    """Give IDs to documents, also to ones never seen.

    Documents that RUN has learned keep their IDs; the others in FILES get theirs from its model. The run
    itself stays as it is. With --engine ray each file is a shard, FILES may be addresses such as
    s3://bucket/items/*.parquet, and the same command goes on where it was stopped.

    \b
    Examples:
      lmindexer index runs/beauty new_items.jsonl --out new_ids.jsonl
      lmindexer index runs/beauty items/ --engine ray --workers 8 --out new_ids
    """
    if engine == "ray":
        if out is None or embeddings is not None:
            raise InputError("--engine ray reads texts and writes a folder of shards; name it with --out, without "
                             "--embeddings")  # fmt: skip
        _index_on_ray(run, files, out, id, text, workers, reading)
        return
    if workers is not None:
        raise InputError("--workers are of --engine ray; add it, or leave them out")
    from lmindexer.runs import Run

    if out is not None:
        if out.suffix.lower() not in ENDS:
            raise InputError(f"cannot tell the format of --out {out}; end it in .jsonl, .csv or .parquet")
        make_room(out)
    opened = Run.open(run)
    from lmindexer.indexers.registry import load_indexer

    with steps() as progress:
        progress.doing(f"reading {', '.join(files)}")
        corpus = read_like(opened, [*map(Path, files)], id, text, "", reading)
        progress.doing(f"loading {run}")
        indexer = load_indexer(run)
        ids = indexer.index(corpus, vectors=embeddings, progress=progress)
    tell_skipped(corpus)
    if out is not None:
        ids.export(out, ENDS[out.suffix.lower()])
    else:
        for line in ids.jsonl_lines():
            click.echo(line)
    assert indexer.ids is not None
    new = sum(doc_id not in indexer.ids for doc_id in ids)
    click.echo(f"{len(ids):,} documents, {new:,} of them new to the run", err=True)


def _index_on_ray(run: Path, files: tuple[str, ...], out: Path, id: str, text: str, workers: int | None,
                  reading: dict[str, bool]) -> None:  # fmt: skip
    """`index` where each of the files is a shard."""
    from lmindexer.corpus.remote import find_shards
    from lmindexer.indexers.on_ray import index_on_ray
    from lmindexer.indexers.shards import Job
    from lmindexer.runs import Run

    flags = tuple(name for name, is_on in reading.items() if is_on)
    job = Job(Run.open(run).path.resolve(), out.resolve(), find_shards(files), id, columns_in(text), flags)
    with steps() as progress:
        indexed = index_on_ray(job, workers, progress)
    if indexed is None:
        click.echo(f"{out} is finished already", err=True)
        return
    for note in indexed.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{indexed.documents:,} documents, {indexed.new:,} of them new to the run", err=True)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--id", default="", help="Column of the document's id, where it differs from the run's.")
@option("--text", default="", metavar="TEXT,...", help="Columns of the text, where they differ from the run's.")
@option("--label", default="", help="Column of the label, where it differs from the run's.")
@their_vectors
@how_to_read
def add(run: Path, files: tuple[Path, ...], id: str, text: str, label: str, embeddings: Path | None,
        **reading: bool) -> None:  # fmt: skip
    """Add documents to a run, without learning again.

    Each gets an ID from the run's model, unique at once; the IDs of the others stay. Documents that RUN has
    with the same text are left as they are.

    \b
    Example:
      lmindexer add runs/beauty new_items.jsonl
    """
    from lmindexer.runs import Run

    opened = Run.open(run)
    from lmindexer.indexers.changes import add_documents

    with steps() as progress:
        progress.doing(f"reading {', '.join(map(str, files))}")
        corpus = read_like(opened, files, id, text, label, reading)
        added = add_documents(run, corpus, vectors=embeddings, progress=progress)
    tell_skipped(corpus)
    for line in () if added.ids is None else added.ids.jsonl_lines():
        click.echo(line)
    click.echo(f"added {len(added.doc_ids):,}; {added.known:,} already there", err=True)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("ids", nargs=-1)
@option("--from", "listed", type=click.Path(path_type=Path), help="A file with one document id a line.")
def remove(run: Path, ids: tuple[str, ...], listed: Path | None) -> None:
    """Remove documents from a run; the others keep their IDs.

    \b
    Example:
      lmindexer remove runs/beauty B004756YJA B0000535UX
    """
    leaving = [*ids]
    if listed is not None:
        leaving += lines_of(listed)
    if not leaving:
        raise InputError("no document is named; give ids, or a file of them with --from")
    from lmindexer.indexers.changes import remove_documents

    with steps() as progress:
        remove_documents(run, leaving, progress=progress)
    click.echo(f"{len(set(leaving)):,} documents removed", err=True)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@option("--format", "named", type=click.Choice(FORMATS),
        help="Form of the output. [as --out ends; jsonl on the screen]")  # fmt: skip
@option("--out", type=click.Path(path_type=Path),
        help="Write this file (.jsonl, .csv, .parquet, index.json) or folder of tokens; else the screen.")  # fmt: skip
def export(run: Path, named: str | None, out: Path | None) -> None:
    """Write the IDs of a run as JSONL, CSV, Parquet, index.json or tokens.

    JSONL has lines {"id": "B004756YJA", "codes": [17, 401, 0]}; CSV and Parquet have one column a position; index.json
    has tokens for a language model, {"B004756YJA": ["<a_17>", "<b_401>", "<c_0>"]}, as LETTER and LC-Rec read them.
    --format tokens writes a folder for training tools: the tokens to add to a tokenizer, the IDs in these, the trie of
    all IDs, and pairs {"prompt", "completion"} of documents, and of the queries or histories that RUN was taught.

    \b
    Examples:
      lmindexer export runs/beauty --out ids.csv
      lmindexer export runs/beauty-rec --format tokens --out tokens/beauty
    """
    if named == TOKENS:
        _export_tokens(run, out)
        return
    from lmindexer.indexers.store import load_ids
    from lmindexer.runs import Run

    is_index = named == INDEX or (named is None and out is not None and out.name.lower().endswith(INDEX))
    kind = format_to_write(out, named, ENDS | ({".json": INDEX} if is_index else {}), "jsonl")
    if out is None and kind != "jsonl":
        raise InputError(f"--format {kind} does not go to the screen; name a file with --out")
    ids = load_ids(Run.open(run))
    if out is not None:
        make_room(out)
        ids.export(out, kind)
        click.echo(f"{len(ids):,} IDs in {out}", err=True)
    else:
        for line in ids.jsonl_lines():
            click.echo(line)


def _export_tokens(run: Path, out: Path | None) -> None:
    """Write the folder of --format tokens, and say what is in it."""
    from lmindexer.runs import Run

    if out is None:
        raise InputError("--format tokens writes a folder; name it with --out")
    opened = Run.open(run)
    from lmindexer.integrations.tokens import write_tokens

    with steps() as progress:
        progress.doing("reading the documents")
        lines = write_tokens(opened, out)
    click.echo(", ".join(f"{count:,} lines in {out / name}" for name, count in lines.items()), err=True)


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("path", metavar="ID")
@option("-k", "k", default=20, type=click.IntRange(min=1), metavar="INT",
        help="How many documents to show.")  # fmt: skip
@option("--format", "kind", type=click.Choice(["text", "jsonl"]), default="text",
        help="Form of the output.")  # fmt: skip
def lookup(run: Path, path: str, k: int, kind: str) -> None:
    """Find whose ID is ID, such as 17,201,0; or, with fewer codes, whose IDs begin so.

    \b
    Example:
      lmindexer lookup runs/beauty 17,201
    """
    from lmindexer.files import json_text
    from lmindexer.indexers.store import documents_and_ids
    from lmindexer.runs import Run

    parts = path.replace(".", ",").split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise InputError(f"{path!r} is no ID; give its codes, such as 17,201,0")
    wanted = [int(part) for part in parts]
    with steps() as progress:
        progress.doing("reading the documents")
        corpus, ids = documents_and_ids(Run.open(run))
    rows = ids.rows_below(wanted)
    if not len(rows):
        raise InputError(_nobody(run, ids, wanted))
    for row in rows[:k].tolist():
        document, codes = corpus[row], ids[ids.doc_ids[row]]
        if kind == "jsonl":
            click.echo(json_text({"id": document.id, "codes": codes, "text": document.text}, ensure_ascii=False))
        else:
            click.echo(document_line(document, codes))
    if len(rows) > k:
        click.echo(f"note: {len(rows) - k:,} more; see them with -k {len(rows)}", err=True)


def _nobody(run: Path, ids: "IdTable", wanted: list[int]) -> str:
    """Say why no ID begins with `wanted`, and how IDs do begin."""
    if len(wanted) > len(ids.sizes) + 1:
        return f"the IDs of {run} have {len(ids.sizes) + 1} numbers, not {len(wanted)}"
    known = next(t for t in range(len(wanted), -1, -1) if len(ids.rows_below(wanted[:t])))
    present = sorted(set(ids.paths[ids.rows_below(wanted[:known]), known].tolist()))
    shown = ", ".join(map(str, present[:10])) + (" and others" if len(present) > 10 else "")
    begin = f"after {'.'.join(map(str, wanted[:known]))} come" if known else "IDs begin with"
    return f"no document of {run} has an ID that begins with {'.'.join(map(str, wanted))}; {begin} {shown}"
