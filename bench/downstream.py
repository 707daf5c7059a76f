"""Each indexer's IDs put to use, fine-tuned alike, in one table beside BM25 and the bundled encoder.

    python -m bench.downstream --documents corpus.jsonl.gz --queries scifact/ --indexers lmindexer,rq-vae,hc
    python -m bench.downstream --documents items.jsonl.gz --text title,brand --sequences sequences.txt.gz
    python -m bench.downstream ... --hold-out 0.05

Finished runs in --out are reused. `--learn sizes=64,64` and `--finetune epochs=6` are settings of `lmindexer
learn` and `finetune`, for all indexers the same. With --hold-out that share of the documents is in neither; it
is added afterwards (`lmindexer add`), and the table is of the questions that no other document answers (Table 15).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.finished import learn_or_reuse, value_of
from lmindexer.config import FinetuneConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.indexers.changes import add_documents
from lmindexer.indexers.store import load_documents
from lmindexer.judging.evaluation import evaluate_methods
from lmindexer.methods.registry import HISTORY, METHODS, TEXT
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries, load_queries, splits_of, text_key
from lmindexer.questions.query_records import SPLITS
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.questions.sequences import held_out, next_items
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching.fine_tuning import finetune


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.downstream", description=__doc__)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--text", default="")
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--sequences", type=Path)
    parser.add_argument("--pseudo", type=Path, action="append", default=[])
    parser.add_argument("--indexers", default="lmindexer,rq-vae,hc")
    parser.add_argument("--others", default="bm25,dense", help="methods beside them")
    parser.add_argument("--metrics", default="recall@1,5,10 ndcg@10")
    parser.add_argument("--hold-out", type=float, default=0.0)
    parser.add_argument("--learn", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--finetune", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quiet", action="store_true")
    arguments = parser.parse_args()
    if (arguments.queries is None) == (arguments.sequences is None):
        parser.error("name either --queries or --sequences")
    everything = Corpus.read(
        [arguments.documents], text=tuple(arguments.text.split(",")) if arguments.text else (), keep_empty=True
    )
    held = _held(everything, arguments.hold_out)
    kept = Corpus.from_documents((d for d in everything if d.id not in held), keep_empty=True)
    runs = {}
    for name in arguments.indexers.split(","):
        settings = _settings(arguments.learn) | {"indexer": name}
        learned = learn_or_reuse(from_mapping(settings), kept, arguments.out / name, arguments.quiet)
        runs[name] = _finetuned(learned, arguments, held, everything)
    print(_table(runs, arguments, everything, held))


def _finetuned(learned: Run, arguments: argparse.Namespace, held: set[str], everything: Corpus) -> Path:
    """The fine-tuned run beside `learned`, with the held-out documents added at its end."""
    out = learned.path.with_name(f"{learned.path.name}-finetuned")
    task = "search" if arguments.sequences is None else "recommend"
    config = parse(FinetuneConfig, {"task": task} | _settings(arguments.finetune))
    data = {
        "sequences": arguments.sequences,
        "queries": arguments.queries,
        "qrels": arguments.qrels,
        "pseudo": arguments.pseudo,
    }
    finetune(learned.path, out, **data, config=config, resume=True, progress=_progress(arguments))
    if held and not held <= set(load_documents(Run.open(out)).doc_ids):
        add_documents(out, Corpus.from_documents((d for d in everything if d.id in held), keep_empty=True))
    return out


def _table(runs: dict[str, Path], arguments: argparse.Namespace, everything: Corpus, held: set[str]) -> str:
    metrics, first = parse_metrics(arguments.metrics.split()), next(iter(runs.values()))
    kind, taken = TEXT, None
    if arguments.sequences is not None:
        corpus = load_documents(Run.open(first))
        kind, taken = HISTORY, load_sequences(arguments.sequences, corpus.doc_ids)
        examples = held_out(taken, "test")
        if held:
            later = np.isin(examples.target, [corpus.row_of[doc_id] for doc_id in held])
            examples = examples.select(np.flatnonzero(later))
        asked = next_items(examples, corpus.doc_ids)
    else:
        asked = _questions(arguments, everything, held).questions
    methods = {name: METHODS["generative"].open(run, kind) for name, run in runs.items()}
    others = [name for name in arguments.others.split(",") if name]
    methods |= {name: METHODS[name].open(first, kind, sequences=taken) for name in others}
    return evaluate_methods(methods, asked, metrics, progress=_progress(arguments)).to_markdown()


def _questions(arguments: argparse.Namespace, everything: Corpus, held: set[str]) -> Queries:
    """The test queries; with held-out documents the queries of every split that these alone answer.

    Of none of those was anything trained on: who has another answer was, and so were its words in another split.
    """
    if not held:
        return load_queries(arguments.queries, arguments.qrels, "test", everything.doc_ids)
    parts = {
        split: load_queries(arguments.queries, arguments.qrels, split, everything.doc_ids)
        for split in sorted(splits_of(arguments.queries, arguments.qrels) & set(SPLITS))
    }
    trained_on = {
        text_key(text)
        for split in ("train", "dev")
        if split in parts
        for text, grades in zip(parts[split].texts, parts[split].relevant, strict=True)
        if grades.keys() & set(everything.doc_ids) - held
    }
    rows: dict[str, tuple[str, str, dict[str, float]]] = {}
    for split, queries in parts.items():
        for id, text, grades in zip(queries.query_ids, queries.texts, queries.relevant, strict=True):
            if grades and grades.keys() <= held and text_key(text) not in trained_on:
                rows.setdefault(text_key(text), (f"{split}/{id}", text, grades))
    if not rows:
        raise InputError("no query has held-out documents for its only answers; hold out more")
    ids, texts, relevant = zip(*rows.values(), strict=True)
    return Queries(ids, texts, relevant)


def _held(corpus: Corpus, share: float) -> set[str]:
    chosen = np.random.default_rng(0).permutation(len(corpus))[: round(share * len(corpus))]
    return {corpus.doc_ids[row] for row in chosen.tolist()}


def _progress(arguments: argparse.Namespace) -> Progress:
    return Progress(None if arguments.quiet else sys.stderr)


def _settings(pairs: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs as a recipe has them."""
    return {key.replace("-", "_"): value_of(value) for key, _, value in (pair.partition("=") for pair in pairs)}


if __name__ == "__main__":
    main()
