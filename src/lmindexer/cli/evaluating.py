"""The verb that asks many questions at once: evaluate."""

import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import TABLE_ENDS, format_to_write, make_room, write_or_print
from lmindexer.cli.methods import ABOUT, how_to_ask, note_of_novelty, note_of_teaching, options_of
from lmindexer.cli.options import option
from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.methods.registry import METHODS, method_for
from lmindexer.progress import Progress

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.judging.evaluation import Evaluation
    from lmindexer.methods.retriever import Retriever
    from lmindexer.questions.questions import Questions
    from lmindexer.questions.sequences import Sequences
    from lmindexer.runs import Run

SEARCH_METRICS = "recall@1,5,10,20,50,100 ndcg@5,10 map@5 mrr@10"
RECOMMEND_METRICS = "recall@5,10 ndcg@5,10"

Lists = dict[str, list[tuple[str, float]]]  # query -> documents and their scores, best first


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@option("--queries", type=click.Path(path_type=Path),
        help="A BEIR folder, or JSONL of queries (with their documents, or with --qrels). "
             "[those the run was fine-tuned with]")  # fmt: skip
@option("--qrels", type=click.Path(path_type=Path), help="Judgements: query, document and grade a line.")
@option("--sequences", type=click.Path(path_type=Path),
        help="Recommend: what users took. [those the run was fine-tuned with]")  # fmt: skip
@option("--split", default="test", metavar="TEXT", help="The split whose queries, or whose held-out items, are asked.")
@option("--metrics", default="", metavar="TEXT",
        help="What is measured, such as 'recall@1,10 mrr@10': recall, ndcg, map, mrr, precision or hit. "
             f"[{SEARCH_METRICS}; of recommendation {RECOMMEND_METRICS}]")  # fmt: skip
@option("--method", "methods", multiple=True, type=click.Choice(list(METHODS)),
        help=f"What answers; several times: side by side, tested against the first. {ABOUT}. "
             "[as RUN was taught, else generative]")  # fmt: skip
@how_to_ask
@option("--keep-going", is_flag=True, help="Go on even if most of --sequences is of unknown documents.")
@option("--relevance-level", "level", type=click.FloatRange(min=0, min_open=True), metavar="FLOAT",
        help="A document is relevant from this grade on, as 2 in TREC's Deep Learning track; ndcg takes the "
             "grades as they are. [any grade above 0]")  # fmt: skip
@option("--leave-self-out", is_flag=True,
        help="A query that is itself a document, of the same id, does not find it, as in ArguAna.")  # fmt: skip
@option("--answerable", is_flag=True,
        help="Leave out relevant documents that RUN does not have, and queries without any other. By default "
             "they count as not found, as in every benchmark.")  # fmt: skip
@option("--trec", type=click.Path(path_type=Path),
        help="Also write what the first method found, as a TREC run file.")  # fmt: skip
@option("--format", "named", type=click.Choice(["markdown", "json"]),
        help="Form of the output. [as --out ends, else markdown]")  # fmt: skip
@option("--out", type=click.Path(path_type=Path), help="The file to write, .md or .json; the screen by default.")
def evaluate(run: Path, others: tuple[Path, ...], queries: Path | None, qrels: Path | None, sequences: Path | None,
             split: str, metrics: str, methods: tuple[str, ...], keep_going: bool, level: float | None,
             leave_self_out: bool, answerable: bool, trec: Path | None, named: str | None, out: Path | None,
             **how: Any) -> None:  # fmt: skip
    """Ask RUN the questions of a test set and tell how well it answers.

    Every metric is over documents, with intervals over queries, and counts all relevant documents. A run that
    was taught to recommend is asked what users took last. Results are kept in RUN, for lmindexer compare.

    Several runs of the same documents answer as each was taught, and together: fuse sums their scores, by weights
    that are picked on the dev split.

    \b
    Examples:
      lmindexer evaluate runs/squad-search --method bm25 --method generative
      lmindexer evaluate runs/beauty-rec --method popular --method generative
      lmindexer evaluate runs/beauty-rec runs/sasrec
    """
    from lmindexer.runs import ReadOnlyError, Run

    opened = Run.open(run)
    if others and (methods or any(how.values())):
        raise InputError("several runs answer as each was taught; leave out --method and its options, or name one run")
    methods = methods or (method_for(run),)
    kind = format_to_write(out, named, TABLE_ENDS, "markdown")
    if queries is not None and sequences is not None:
        raise InputError("name either --queries or --sequences: one is asked at a time")
    from lmindexer.evaluation.metrics import parse_metrics
    from lmindexer.indexers.store import load_documents
    from lmindexer.judging.evaluation import evaluate_methods
    from lmindexer.judging.results import keep_results
    from lmindexer.questions.queries import QUERIES
    from lmindexer.questions.query_records import split_name
    from lmindexer.questions.sequence_files import SEQUENCES
    from lmindexer.questions.sequences import asked_of

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
    options = options_of(methods, how)
    note_of_novelty(methods, opened, how)
    for path, flag in ((out, "--out"), (trec, "--trec")):
        if path is not None and path.is_dir():
            raise InputError(f"{flag} {path} is a folder; name a file in it")
    taken: Sequences | None = None
    if queries is not None:
        asked = _queries(queries, qrels, split, corpus, _taught(opened, QUERIES), answerable)
    else:
        assert sequences is not None
        asked, taken = _histories(opened, sequences, split, corpus, keep_going)
    _check_ids(trec, corpus, (*asked.query_ids, *chain(*asked.joined_ids.values())))
    if not len(asked):
        raise InputError("no user took 3 items or more, so none can be evaluated; give longer sequences")
    for name in options:
        METHODS[name].check_kind(asked.kind)
    opened_methods: Mapping[str, Retriever]
    if others:
        dev = asked_of(taken, "dev", corpus.doc_ids) if taken is not None else None
        if dev is None:
            assert queries is not None
            dev = _queries(queries, qrels, "dev", corpus, None, answerable)
        opened_methods = _fused([run, *others], dev, str(wanted[-1]), taken)
    else:
        opened_methods = {
            name: METHODS[name].open(run, asked.kind, sequences=taken, **options[name]) for name in options
        }
    if queries is not None:
        note_of_teaching(methods, run)
    found = evaluate_methods(opened_methods, asked, wanted, level=level or 0.0, leave_self_out=leave_self_out,
                             progress=Progress(sys.stderr))  # fmt: skip
    _show(json_text(found.to_dict(), indent=2) if kind == "json" else found.to_markdown(), kind, out)
    judging = {"relevance_level": level} if level is not None else {}
    judging |= {"leave_self_out": True} if leave_self_out else {}
    try:
        if not others:
            keep_results(run, split, found, asked, opened_methods, judging, wanted)
    except ReadOnlyError as error:
        click.echo(f"note: the results are not kept in {run}, for lmindexer compare ({error})", err=True)
    if trec is not None:
        from lmindexer.evaluation.trec import write_run

        make_room(trec, "--trec")
        write_run(trec, _lists_of_first(found, asked))


def _fused(runs: "list[Path]", dev: "Questions", metric: str, taken: "Sequences | None") -> "dict[str, Retriever]":
    """Each run as it was taught, under its name, and all of them as one; say what was picked."""
    from lmindexer.methods.ensemble import FUSED, fuse
    from lmindexer.runs import Run, names_of

    opened: dict[str, Retriever] = {
        name: METHODS[method_for(Run.open(one).path)].open(one, dev.kind, sequences=taken)
        for name, one in zip(names_of(runs), runs, strict=True)
    }
    together, picked = fuse(opened, dev, metric)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in picked.by_part.items())
    alone = ", ".join(f"{value:.4f}" for value in picked.alone.values())
    click.echo(f"note: {FUSED} is {weights}: {metric} on dev {picked.value:.4f}, alone {alone}", err=True)
    return opened | {FUSED: together}


def _show(text: str, kind: str, out: Path | None) -> None:
    """Write into the file, or on the screen; there also when the file cannot be written."""
    try:
        if out is not None:
            make_room(out, "--out")
        write_or_print(text, kind, out)
    except (InputError, OSError):
        if out is not None:
            write_or_print(text, kind, None)
        raise


def _check_ids(trec: Path | None, corpus: "Corpus", asked: Iterable[str]) -> None:
    """Refuse ids that a TREC file cannot hold, before anything is asked."""
    from lmindexer.evaluation.trec import check_ids

    if trec is not None:
        check_ids(corpus.doc_ids)
        check_ids(asked)


def _taught(run: "Run", name: str) -> Path | None:
    """Find the file of this name with what the run was fine-tuned with; None where it was fine-tuned otherwise."""
    return run.file(name) if run.has(name) else None


def _queries(
    queries: Path, qrels: Path | None, split: str, corpus: "Corpus", taught: Path | None, answerable: bool
) -> "Questions":
    """`taught`: the queries that the run was fine-tuned with, if there are any."""
    from lmindexer.questions.queries import load_queries, splits_of
    from lmindexer.questions.splits import with_note_of_training

    test = load_queries(queries, qrels, split, corpus.doc_ids, answerable=answerable)
    if taught is not None and queries != taught and "train" in splits_of(taught, None):
        test = with_note_of_training(test, load_queries(taught, None, "train", corpus.doc_ids))
    return test.questions


def _histories(run: "Run", path: Path, split: str, corpus: "Corpus", keep_going: bool) -> "tuple[Questions, Sequences]":
    """What is asked of `split`, and all that users took; what the run was taught is parted already."""
    from lmindexer.questions.sequence_files import SEQUENCES, load_sequences, load_taught
    from lmindexer.questions.sequences import HELD_OUT, asked_of

    if split not in HELD_OUT:
        raise InputError(f"the splits of sequences are {' and '.join(HELD_OUT)}, not {split!r}")
    ids = corpus.doc_ids
    if path == run.path / SEQUENCES:
        taken = load_taught(run.file(SEQUENCES), ids)
    else:
        taken = load_sequences(path, ids, keep_going=keep_going)
    return asked_of(taken, split, ids), taken


def _lists_of_first(found: "Evaluation", asked: "Questions") -> Lists:
    """What the first method found, also for queries of the same text."""
    first = zip(asked.query_ids, next(iter(found.first.hits.values())), strict=True)
    return {
        id: [(hit.doc_id, hit.score) for hit in hits]
        for query_id, hits in first
        for id in (query_id, *asked.joined_ids.get(query_id, ()))
    }
