"""The verbs that find: search, and evaluate, which asks many queries at once."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import lines_of, make_room, write_or_print
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus

NAMES = ("generative", "bm25", "dense", "hybrid")


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "k", default=10, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many documents to find.")  # fmt: skip
@click.option("--retriever", type=click.Choice(NAMES), default="generative",
              show_default=True, help="Generated IDs, words, the bundled encoder, or IDs and words fused.")  # fmt: skip
@click.option("--beams", default=20, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many prefixes of IDs the search keeps at each position.")  # fmt: skip
@click.option("--exact", is_flag=True, help="Find the true best, whatever it takes.")
@click.option("--only", "labels", multiple=True, metavar="LABEL",
              help="Search documents of this label alone ('Makeup > Nails'); several times: any of them.")  # fmt: skip
@click.option("--only-ids", "listed", type=click.Path(path_type=Path),
              help="Search the documents of this file alone, one id a line.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
def search(run: Path, query: tuple[str, ...], k: int, retriever: str, beams: int, exact: bool,
           labels: tuple[str, ...], listed: Path | None, kind: str) -> None:  # fmt: skip
    """Find documents for QUERY by generating their IDs.

    The run's model reads the query as if it were a document: it was never taught what people ask. Works on a
    run of --indexer lmindexer; scores are log P of the ID, in nats. Other retrievers work on every run.

    \b
    Example:
      lmindexer search runs/beauty "gentle shampoo for curly hair" -k 5
    """
    from lmindexer.runs import Run

    opened = Run.open(run)
    from lmindexer.ids.table import IdTable
    from lmindexer.indexers.store import load_documents
    from lmindexer.retrievers.generative import GenerativeRetriever
    from lmindexer.retrievers.registry import RETRIEVERS

    corpus, ids, text = load_documents(opened), IdTable.load(run / "ids.parquet"), " ".join(query)
    only = _labelled(corpus, labels, run) if labels else None
    if listed is not None:
        named, allowed = lines_of(listed), None if only is None else set(only)
        only = [doc_id for doc_id in named if allowed is None or doc_id in allowed]
    found_by = RETRIEVERS[retriever](run, beams=beams, exact=exact)
    if isinstance(found_by, GenerativeRetriever) and (tokens := found_by.tokens_of(text)) > found_by.reads:
        click.echo(f"note: of the query's {tokens:,} tokens the first {found_by.reads} are read", err=True)
    for hit in found_by.search([text], k, only=only)[0]:
        document, path = corpus[corpus.row_of[hit.doc_id]], ids[hit.doc_id]
        if kind == "jsonl":
            told = {"id": hit.doc_id, "score": round(hit.score, 4), "codes": path, "text": document.text}
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            shown = " ".join(document.text.split())[:90]
            click.echo(f"{hit.score:7.2f}  {'.'.join(map(str, path)):12}  {hit.doc_id}  {shown}")


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--queries", required=True, type=click.Path(path_type=Path),
              help="A BEIR folder, or JSONL of queries (with their documents, or with --qrels).")  # fmt: skip
@click.option("--qrels", type=click.Path(path_type=Path), help="Judgements: query, document and grade a line.")
@click.option("--split", default="test", show_default=True, metavar="TEXT", help="Which queries to ask.")
@click.option("--metrics", default="recall@1,5,10,20,50,100 ndcg@5,10 map@5 mrr@10", show_default=True,
              metavar="TEXT", help="Of recall, ndcg, map, mrr, precision and hit.")  # fmt: skip
@click.option("--retriever", "retrievers", multiple=True, default=["generative"], show_default=True,
              type=click.Choice(NAMES),
              help="As of lmindexer search; several times: side by side, tested against the first.")  # fmt: skip
@click.option("--beams", default=20, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many prefixes of IDs the search keeps at each position.")  # fmt: skip
@click.option("--exact", is_flag=True, help="Find the true best, whatever it takes.")
@click.option("--trec", type=click.Path(path_type=Path),
              help="Also write what the first retriever found, as a TREC run file.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; the screen by default.")
def evaluate(run: Path, queries: Path, qrels: Path | None, split: str, metrics: str, retrievers: tuple[str, ...],
             beams: int, exact: bool, trec: Path | None, kind: str, out: Path | None) -> None:  # fmt: skip
    """Ask RUN the queries of a test set and tell how well it answers.

    Every metric is over documents, with intervals over queries, and counts all relevant documents.

    \b
    Example:
      lmindexer evaluate runs/scifact --queries scifact/ --retriever bm25 --retriever generative
    """
    from lmindexer.runs import Run

    opened = Run.open(run)
    from lmindexer.evaluation.metrics import parse_metrics
    from lmindexer.evaluation.trec import check_ids, write_run
    from lmindexer.indexers.store import load_documents
    from lmindexer.retrievers.registry import RETRIEVERS
    from lmindexer.tasks.evaluate import evaluate as evaluate_retrievers
    from lmindexer.tasks.queries import load_queries

    wanted = parse_metrics(metrics.split())
    corpus = load_documents(opened)
    asked = load_queries(queries, qrels, split, corpus.doc_ids)
    for path, flag in ((out, "--out"), (trec, "--trec")):
        if path is not None:
            make_room(path, flag)
    if trec is not None:
        check_ids(corpus.doc_ids)
    asked_of = {name: RETRIEVERS[name](run, beams=beams, exact=exact) for name in retrievers}
    found = evaluate_retrievers(asked_of, asked, wanted)
    if trec is not None:
        hits = found.hits[retrievers[0]]
        lists = {name: [(h.doc_id, h.score) for h in each] for name, each in zip(asked.query_ids, hits, strict=True)}
        write_run(trec, lists)
    write_or_print(json.dumps(found.to_dict(), indent=2) if kind == "json" else found.to_markdown(), out)


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
