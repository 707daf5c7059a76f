"""The verb that finds: search."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.cli.app import app
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "k", default=10, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many documents to find.")  # fmt: skip
@click.option("--beams", default=20, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many prefixes of IDs the search keeps at each position.")  # fmt: skip
@click.option("--exact", is_flag=True, help="Find the true best, whatever it takes.")
@click.option("--only", "labels", multiple=True, metavar="LABEL",
              help="Search documents of this label alone ('Makeup > Nails'); several times: any of them.")  # fmt: skip
@click.option("--only-ids", "listed", type=click.Path(path_type=Path),
              help="Search the documents of this file alone, one id a line.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
def search(run: Path, query: tuple[str, ...], k: int, beams: int, exact: bool, labels: tuple[str, ...],
           listed: Path | None, kind: str) -> None:  # fmt: skip
    """Find documents for QUERY by generating their IDs.

    The run's model reads the query as if it were a document: it was never taught what people ask. Works on a
    run of --indexer lmindexer. Scores are log P of the ID, in nats.

    \b
    Example:
      lmindexer search runs/beauty "gentle shampoo for curly hair" -k 5
    """
    from lmindexer.runs import Run

    config = Run.open(run).config
    if config.indexer != "lmindexer":
        raise InputError(f"{run} was learned by {config.indexer}, which has no model to generate IDs; "
                         "search a run of --indexer lmindexer")  # fmt: skip
    from lmindexer.cli.common import lines_of
    from lmindexer.indexers.lmindexer import LMIndexer
    from lmindexer.retrievers.generative import GenerativeRetriever

    indexer = LMIndexer.load(run)
    assert indexer.indexer is not None
    assert indexer.ids is not None
    corpus = indexer.corpus()
    only = None
    if labels:
        only = _labelled(corpus, labels, run)
    if listed is not None:
        named = lines_of(listed)
        only = named if only is None else [doc_id for doc_id in named if doc_id in set(only)]
    retriever = GenerativeRetriever(
        indexer.indexer, indexer.ids, max_tokens=config.max_tokens, precision=config.precision, beams=beams
    )
    text = " ".join(query)
    backbone, read = indexer.indexer.backbone, min(config.max_tokens, indexer.indexer.backbone.longest)
    if (tokens := backbone.count_tokens(text)) > read:
        click.echo(f"note: of the query's {tokens:,} tokens the first {read} are read", err=True)
    for hit in retriever.search([text], k, exact=exact, only=only)[0]:
        document, path = corpus[corpus.row_of[hit.doc_id]], indexer.ids[hit.doc_id]
        if kind == "jsonl":
            told = {"id": hit.doc_id, "score": round(hit.score, 4), "codes": path, "text": document.text}
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            shown = " ".join(document.text.split())[:90]
            click.echo(f"{hit.score:7.2f}  {'.'.join(map(str, path)):12}  {hit.doc_id}  {shown}")


def _labelled(corpus: "Corpus", labels: tuple[str, ...], run: Path) -> list[str]:
    """Ids of the documents whose label begins with one of `labels`."""
    if corpus.labels is None:
        raise InputError(f"{run} has no labels to choose by; learn it with --label, or use --only-ids")
    found: list[str] = []
    for label in labels:
        wanted = tuple(part.strip() for part in label.split(">"))
        some = [
            doc_id for doc_id, own in zip(corpus.doc_ids, corpus.labels, strict=True) if own[: len(wanted)] == wanted
        ]
        if not some:
            known = sorted({own[0] for own in corpus.labels if own})
            raise InputError(f"no document of {run} has the label {label!r}; labels begin with {', '.join(known[:8])}")
        found += some
    return found
