"""The verb that asks many questions at once: evaluate."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import make_room, write_or_print
from lmindexer.cli.searching import NAMES, asked_with, how_to_search, note_of_teaching
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.evaluation.metrics import Metric
    from lmindexer.retrievers.hits import Hit
    from lmindexer.tasks.evaluate import Evaluation
    from lmindexer.tasks.queries import Queries
    from lmindexer.tasks.recommendation import RecommendationEvaluation
    from lmindexer.tasks.sequences import Examples

SEARCH_METRICS = "recall@1,5,10,20,50,100 ndcg@5,10 map@5 mrr@10"
RECOMMEND_METRICS = "recall@5,10 ndcg@5,10"


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--queries", type=click.Path(path_type=Path),
              help="A BEIR folder, or JSONL of queries (with their documents, or with --qrels). "
                   "[those the run was fine-tuned with]")  # fmt: skip
@click.option("--qrels", type=click.Path(path_type=Path), help="Judgements: query, document and grade a line.")
@click.option("--sequences", type=click.Path(path_type=Path),
              help="Recommend: what users took. [those the run was fine-tuned with]")  # fmt: skip
@click.option("--split", default="test", show_default=True, metavar="TEXT", help="Which queries, or held-out items.")
@click.option("--metrics", default="", metavar="TEXT",
              help=f"Of recall, ndcg, map, mrr, precision and hit. [{SEARCH_METRICS}; of recommendation "
                   f"{RECOMMEND_METRICS}]")  # fmt: skip
@click.option("--retriever", "retrievers", multiple=True, default=["generative"], show_default=True,
              type=click.Choice([*NAMES, "popular"]),
              help="As of lmindexer search; several times: side by side, tested against the first.")  # fmt: skip
@how_to_search
@click.option("--keep-going", is_flag=True, help="Go on even if most of --sequences is of unknown documents.")
@click.option("--trec", type=click.Path(path_type=Path),
              help="Also write what the first retriever found, as a TREC run file.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; the screen by default.")
def evaluate(run: Path, queries: Path | None, qrels: Path | None, sequences: Path | None, split: str, metrics: str,
             retrievers: tuple[str, ...], keep_going: bool, trec: Path | None, kind: str, out: Path | None,
             **how: Any) -> None:  # fmt: skip
    """Ask RUN the questions of a test set and tell how well it answers.

    Every metric is over documents, with intervals over queries, and counts all relevant documents. A run that
    was taught to recommend is asked what users took last. Results are kept in RUN, for lmindexer compare.

    \b
    Examples:
      lmindexer evaluate runs/squad-search --retriever bm25 --retriever generative
      lmindexer evaluate runs/beauty-rec --retriever popular --retriever generative
    """
    from lmindexer.runs import Run

    opened = Run.open(run)
    if queries is not None and sequences is not None:
        raise InputError("name either --queries or --sequences: one is asked at a time")
    from lmindexer.evaluation.metrics import parse_metrics
    from lmindexer.evaluation.trec import check_ids
    from lmindexer.indexers.store import load_documents
    from lmindexer.tasks.finetune import QUERIES, SEQUENCES
    from lmindexer.tasks.queries import Queries

    if sequences is None and queries is None:
        sequences = run / SEQUENCES if (run / SEQUENCES).exists() else None
        queries = run / QUERIES if sequences is None and (run / QUERIES).exists() else None
    if sequences is None and queries is None:
        raise InputError(f"{run} was not fine-tuned with any questions; name them with --queries or --sequences")
    wanted = parse_metrics((metrics or (SEARCH_METRICS if sequences is None else RECOMMEND_METRICS)).split())
    corpus = load_documents(opened)
    asked = asked_with(retrievers, how)
    test: Queries | Examples
    if sequences is None:
        assert queries is not None
        test = _queries(queries, qrels, split, corpus, asked)
    else:
        test = _examples(sequences, sequences == run / SEQUENCES, split, corpus, keep_going)
    if trec is not None:
        check_ids(corpus.doc_ids)
    for path, flag in ((out, "--out"), (trec, "--trec")):
        if path is not None:
            make_room(path, flag)
    found: Evaluation | RecommendationEvaluation
    if isinstance(test, Queries):
        found = _search(run, test, split, wanted, asked, trec)
    else:
        found = _recommend(run, corpus, test, split, wanted, asked, trec)
    write_or_print(json.dumps(found.to_dict(), indent=2) if kind == "json" else found.to_markdown(), out)


def _queries(queries: Path, qrels: Path | None, split: str, corpus: "Corpus", asked: dict[str, Any]) -> "Queries":
    from lmindexer.tasks.queries import load_queries

    if "popular" in asked:
        raise InputError("popular needs no query and is for recommendation alone; choose another --retriever")
    return load_queries(queries, qrels, split, corpus.doc_ids)


def _examples(sequences: Path, own: bool, split: str, corpus: "Corpus", keep_going: bool) -> "Examples":
    """`own`: the run was taught them, so they are parted already."""
    from lmindexer.tasks.sequences import HELD_OUT, held_out, load_sequences

    if split not in HELD_OUT:
        raise InputError(f"the splits of sequences are {' and '.join(HELD_OUT)}, not {split!r}")
    taken = load_sequences(sequences, corpus.doc_ids, parted=own, keep_going=keep_going)
    return held_out(taken, "test" if split == "test" else "dev")


def _search(run: Path, test: "Queries", split: str, metrics: "tuple[Metric, ...]", asked: dict[str, dict[str, Any]],
            trec: Path | None) -> "Evaluation":  # fmt: skip
    from lmindexer.evaluation.trec import write_run
    from lmindexer.retrievers.registry import RETRIEVERS
    from lmindexer.tasks.evaluate import evaluate as evaluate_retrievers
    from lmindexer.tasks.results import questions_fingerprint, save_results

    retrievers = {name: RETRIEVERS[name](run, **each) for name, each in asked.items()}
    found = evaluate_retrievers(retrievers, test, metrics)
    note_of_teaching(asked, run)
    questions = questions_fingerprint(test.query_ids, test.relevant, test.texts)
    for name, judged in found.judged.items():
        save_results(run, "search", split, {name: judged}, questions, getattr(retrievers[name], "settings", {}))
    if trec is not None:
        write_run(trec, _lists(test.query_ids, found.hits[next(iter(asked))]))
    return found


def _recommend(run: Path, corpus: "Corpus", test: "Examples", split: str, metrics: "tuple[Metric, ...]",
               asked: dict[str, dict[str, Any]], trec: Path | None) -> "RecommendationEvaluation":  # fmt: skip
    from lmindexer.evaluation.trec import write_run
    from lmindexer.progress import Progress
    from lmindexer.tasks.recommendation import check_recommenders, evaluate_recommenders, recommender_of
    from lmindexer.tasks.results import questions_fingerprint, save_results

    taken = test.sequences
    check_recommenders(asked)
    recommenders = {name: recommender_of(name, run, taken, **each) for name, each in asked.items()}
    found = evaluate_recommenders(recommenders, test, corpus.doc_ids, metrics, progress=Progress(sys.stderr))
    users = [taken.users[user] for user in test.user.tolist()]
    targets = [{corpus.doc_ids[row]: 1.0} for row in test.target.tolist()]
    histories = [" ".join(corpus.doc_ids[row] for row in test.history(e)) for e in range(len(test))]
    questions = questions_fingerprint(users, targets, histories)
    for task, table in (("recommend", found.as_is), ("recommend-masked", found.masked)):
        for name, judged in table.judged.items():
            save_results(run, task, split, {name: judged}, questions, getattr(recommenders[name], "settings", {}))
    if trec is not None:
        write_run(trec, _lists(users, found.as_is.hits[next(iter(asked))]))
    return found


def _lists(query_ids: "Sequence[str]", hits: "list[list[Hit]]") -> dict[str, list[tuple[str, float]]]:
    return {id: [(hit.doc_id, hit.score) for hit in each] for id, each in zip(query_ids, hits, strict=True)}
