"""The verb that asks many questions at once: evaluate."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import TABLE_ENDS, format_to_write, make_room, write_or_print
from lmindexer.cli.searching import NAMES, asked_with, how_to_search, note_of_novelty, note_of_teaching
from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.progress import Progress

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.evaluation.metrics import Metric
    from lmindexer.runs import Run
    from lmindexer.tasks.evaluate import Evaluation
    from lmindexer.tasks.queries import Queries
    from lmindexer.tasks.recommendation import RecommendationEvaluation
    from lmindexer.tasks.sequences import Examples

SEARCH_METRICS = "recall@1,5,10,20,50,100 ndcg@5,10 map@5 mrr@10"
RECOMMEND_METRICS = "recall@5,10 ndcg@5,10"

Lists = dict[str, list[tuple[str, float]]]  # query -> documents and their scores, best first


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
@click.option("--relevance-level", "level", type=click.FloatRange(min=0, min_open=True), metavar="FLOAT",
              help="A document is relevant from this grade on, as 2 in TREC's Deep Learning track; ndcg takes the "
                   "grades as they are. [any grade above 0]")  # fmt: skip
@click.option("--leave-self-out", is_flag=True,
              help="A query that is itself a document, of the same id, does not find it, as in ArguAna.")  # fmt: skip
@click.option("--answerable", is_flag=True,
              help="Leave out relevant documents that RUN does not have, and queries without any other. By default "
                   "they count as not found, as in every benchmark.")  # fmt: skip
@click.option("--trec", type=click.Path(path_type=Path),
              help="Also write what the first retriever found, as a TREC run file.")  # fmt: skip
@click.option("--format", "named", type=click.Choice(["markdown", "json"]), help="[as --out ends, else markdown]")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write, .md or .json; the screen by default.")
def evaluate(run: Path, queries: Path | None, qrels: Path | None, sequences: Path | None, split: str, metrics: str,
             retrievers: tuple[str, ...], keep_going: bool, level: float | None, leave_self_out: bool, answerable: bool,
             trec: Path | None, named: str | None, out: Path | None, **how: Any) -> None:  # fmt: skip
    """Ask RUN the questions of a test set and tell how well it answers.

    Every metric is over documents, with intervals over queries, and counts all relevant documents. A run that
    was taught to recommend is asked what users took last. Results are kept in RUN, for lmindexer compare.

    \b
    Examples:
      lmindexer evaluate runs/squad-search --retriever bm25 --retriever generative
      lmindexer evaluate runs/beauty-rec --retriever popular --retriever generative
    """
    from lmindexer.runs import ReadOnlyError, Run

    opened = Run.open(run)
    kind = format_to_write(out, named, TABLE_ENDS, "markdown")
    if queries is not None and sequences is not None:
        raise InputError("name either --queries or --sequences: one is asked at a time")
    from lmindexer.evaluation.metrics import parse_metrics
    from lmindexer.indexers.store import load_documents
    from lmindexer.tasks.finetune import QUERIES, SEQUENCES
    from lmindexer.tasks.queries import split_name

    split = split_name(split)
    if sequences is None and queries is None:
        sequences = _taught(opened, SEQUENCES)
        queries = _taught(opened, QUERIES) if sequences is None else None
    if sequences is None and queries is None:
        raise InputError(f"{run} was not fine-tuned with any questions; name them with --queries or --sequences")
    if queries is None and (level is not None or leave_self_out or answerable):
        raise InputError("--relevance-level, --leave-self-out and --answerable are for queries; leave them out")
    wanted = parse_metrics((metrics or (SEARCH_METRICS if sequences is None else RECOMMEND_METRICS)).split())
    corpus = load_documents(opened)
    asked = asked_with(retrievers, how)
    note_of_novelty(asked, opened, how)
    for path, flag in ((out, "--out"), (trec, "--trec")):
        if path is not None and path.is_dir():
            raise InputError(f"{flag} {path} is a folder; name a file in it")
    if queries is not None:
        test = _queries(queries, qrels, split, corpus, asked, _taught(opened, QUERIES), answerable)
        _check_ids(trec, corpus, (*test.query_ids, *chain(*test.joined_ids.values())))
        judging = {"relevance_level": level} if level is not None else {}
        judging |= {"leave_self_out": True} if leave_self_out else {}
        answered = _search(run, test, split, wanted, asked, judging)
    else:
        assert sequences is not None
        its_own = sequences == run / SEQUENCES
        examples = _examples(opened.file(SEQUENCES) if its_own else sequences, its_own, split, corpus, keep_going)
        _check_ids(trec, corpus, examples.sequences.users)
        answered = _recommend(run, corpus, examples, split, wanted, asked)
    _show(json_text(answered.evaluation.to_dict(), indent=2) if kind == "json" else answered.evaluation.to_markdown(),
          out)  # fmt: skip
    try:
        answered.keep()
    except ReadOnlyError as error:
        click.echo(f"note: the results are not kept in {run}, for lmindexer compare ({error})", err=True)
    if trec is not None:
        from lmindexer.evaluation.trec import write_run

        make_room(trec, "--trec")
        write_run(trec, answered.lists())


@dataclass(frozen=True)
class Answered:
    """What is shown first, and then written: a disk that is full does not take the numbers away."""

    evaluation: "Evaluation | RecommendationEvaluation"
    keep: Callable[[], None]  # in the run
    lists: Callable[[], Lists]  # what the first retriever found, for a TREC file


def _show(text: str, out: Path | None) -> None:
    """In the file, or on the screen: there also when the file cannot be written."""
    try:
        if out is not None:
            make_room(out, "--out")
        write_or_print(text, out)
    except (InputError, OSError):
        if out is not None:
            click.echo(text)
        raise


def _check_ids(trec: Path | None, corpus: "Corpus", asked: Iterable[str]) -> None:
    """What a TREC file cannot hold is told before anything is asked."""
    from lmindexer.evaluation.trec import check_ids

    if trec is not None:
        check_ids(corpus.doc_ids)
        check_ids(asked)


def _taught(run: "Run", name: str) -> Path | None:
    """A file of what the run was fine-tuned with, as it was written; None where it was not by such."""
    return run.file(name) if run.has(name) else None


def _queries(queries: Path, qrels: Path | None, split: str, corpus: "Corpus", asked: dict[str, Any],
             taught: Path | None, answerable: bool) -> "Queries":  # fmt: skip
    """`taught`: the queries that the run was fine-tuned with, if there are any."""
    from lmindexer.tasks.queries import load_queries, splits_of
    from lmindexer.tasks.splits import with_note_of_training

    if "popular" in asked:
        raise InputError("popular needs no query and is for recommendation alone; choose another --retriever")
    test = load_queries(queries, qrels, split, corpus.doc_ids, answerable=answerable)
    if taught is None or queries == taught or "train" not in splits_of(taught, None):
        return test
    return with_note_of_training(test, load_queries(taught, None, "train", corpus.doc_ids))


def _examples(sequences: Path, own: bool, split: str, corpus: "Corpus", keep_going: bool) -> "Examples":
    """`own`: the run was taught them, so they are parted already."""
    from lmindexer.tasks.sequences import HELD_OUT, held_out, load_sequences, load_taught

    if split not in HELD_OUT:
        raise InputError(f"the splits of sequences are {' and '.join(HELD_OUT)}, not {split!r}")
    ids = corpus.doc_ids
    taken = load_taught(sequences, ids) if own else load_sequences(sequences, ids, keep_going=keep_going)
    return held_out(taken, "test" if split == "test" else "dev")


def _search(run: Path, test: "Queries", split: str, metrics: "tuple[Metric, ...]", asked: dict[str, dict[str, Any]],
            judging: dict[str, Any]) -> Answered:  # fmt: skip
    from lmindexer.retrievers.registry import RETRIEVERS
    from lmindexer.tasks.evaluate import evaluate as evaluate_retrievers
    from lmindexer.tasks.results import questions_fingerprint, save_results

    retrievers = {name: RETRIEVERS[name](run, **each) for name, each in asked.items()}
    note_of_teaching(asked, run)
    found = evaluate_retrievers(
        retrievers,
        test,
        metrics,
        level=judging.get("relevance_level", 0.0),
        leave_self_out="leave_self_out" in judging,
        progress=Progress(sys.stderr),
    )

    def keep() -> None:
        questions = questions_fingerprint(test.query_ids, test.relevant, test.texts)
        for name, judged in found.judged.items():
            settings = getattr(retrievers[name], "settings", {}) | judging
            save_results(
                run, "search", split, {name: judged}, questions, settings, depth=max(metric.k for metric in metrics)
            )

    def lists() -> Lists:
        first = zip(test.query_ids, found.hits[next(iter(asked))], strict=True)
        return {
            id: [(hit.doc_id, hit.score) for hit in hits]
            for query_id, hits in first
            for id in (query_id, *test.joined_ids.get(query_id, ()))
        }

    return Answered(found, keep, lists)


def _recommend(run: Path, corpus: "Corpus", test: "Examples", split: str, metrics: "tuple[Metric, ...]",
               asked: dict[str, dict[str, Any]]) -> Answered:  # fmt: skip
    from lmindexer.tasks.recommendation import check_recommenders, evaluate_recommenders, recommender_of
    from lmindexer.tasks.results import questions_fingerprint, save_results

    taken = test.sequences
    check_recommenders(asked)
    recommenders = {name: recommender_of(name, run, taken, **each) for name, each in asked.items()}
    found = evaluate_recommenders(recommenders, test, corpus.doc_ids, metrics, progress=Progress(sys.stderr))
    users = [taken.users[user] for user in test.user.tolist()]

    def keep() -> None:
        targets = [{corpus.doc_ids[row]: 1.0} for row in test.target.tolist()]
        histories = [" ".join(corpus.doc_ids[row] for row in test.history(e)) for e in range(len(test))]
        questions = questions_fingerprint(users, targets, histories)
        for task, table in (("recommend", found.as_is), ("recommend-masked", found.masked)):
            for name, judged in table.judged.items():
                settings = getattr(recommenders[name], "settings", {}) | {"masked": table is found.masked}
                save_results(
                    run, task, split, {name: judged}, questions, settings, depth=max(metric.k for metric in metrics)
                )

    def lists() -> Lists:
        first = zip(users, found.as_is.hits[next(iter(asked))], strict=True)
        return {user: [(hit.doc_id, hit.score) for hit in hits] for user, hits in first}

    return Answered(found, keep, lists)
