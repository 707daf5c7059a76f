"""Do learned IDs earn their time? One table over corpora and indexers, with seeds.

    python -m bench.ids --corpora beauty,debian,squad-articles --out runs/ids
    python -m bench.ids --corpora debian --only LMIndexer,crop --row crop view=crop commit_crop=1 --no-teach

For each corpus: the IDs by themselves; which document a part of it finds (half of its words, its opening, and where the
set has them its queries) by generation without any teaching; and the same questions after the same fine-tuning for all,
on the set's queries, or on pseudo-queries where it has fewer than 100 to learn from. Runs in --out are reused, and
a stopped command goes on. Settings were chosen on beauty, debian and squad-articles; the other corpora only judge.
debian and docstrings are made by `python -m bench.corpora`.
"""

import argparse
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from bench.by_codes import ByCodes
from bench.finished import settings_in
from bench.paper.__main__ import bench_of
from bench.paper.answers import Answered, Exam, answered
from bench.paper.bench import Bench, UnavailableError
from bench.paper.ids import leaf, quality_of, spread
from bench.paper.report import Report, keep
from bench.paper.rows import LEARNED, System
from bench.paper.systems import SEARCH, searching
from bench.paper.table import Row, about_quality, quality
from lmindexer.corpus.documents import Corpus
from lmindexer.evaluation.metrics import Judged
from lmindexer.files import json_text, write_text
from lmindexer.judging.costs import Cost
from lmindexer.judging.evaluation import evaluate_methods
from lmindexer.methods.registry import METHODS
from lmindexer.questions.pseudo_queries import PseudoQuery, pseudo_queries
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import TEXT
from lmindexer.runs import Run
from lmindexer.tables import table

CHOSEN_ON = ("beauty", "debian", "squad-articles")
JUDGING = ("toys", "office", "docstrings", "nfcorpus", "scifact", "medquad")
ROWS: dict[str, Mapping[str, Any]] = {
    "LMIndexer": {},
    "rq-VAE": LEARNED["rq-VAE (bundled)"],
    "residual K-means": LEARNED["residual K-means (bundled)"],
}
METRICS = ("recall@1", "recall@10", "mrr@10")
MOST_ASKED = 1000  # documents that are asked for by a part
FEWEST_WORDS = 4  # of a document that is asked for by half of them
FEWEST_QUERIES = 100  # to learn from; with fewer, all are taught by pseudo-queries
PSEUDO = ("spans", "words")  # the ways to make these
Facts = dict[str, dict[str, Any]]  # by row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", default=",".join([*CHOSEN_ON, *JUDGING]), help="comma-separated; also folders")
    parser.add_argument("--out", type=Path, default=Path("runs/ids"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--sample", type=int, default=0, help="so many documents of each corpus at random; 0: all")
    parser.add_argument("--only", default="", help="comma-separated names of the rows, or their beginnings")
    parser.add_argument("--row", action="append", nargs="+", default=[], metavar="NAME KEY=VALUE",
                        help="one more row: a name, and settings of lmindexer learn")  # fmt: skip
    parser.add_argument("--learn", action="append", default=[], metavar="KEY=VALUE", help="a setting for all rows")
    parser.add_argument("--finetune", action="append", default=[], metavar="KEY=VALUE", help="likewise, of finetune")
    parser.add_argument("--no-teach", action="store_true", help="leave fine-tuning out")
    parser.add_argument("--quiet", action="store_true")
    arguments = parser.parse_args()
    arguments.pseudo, arguments.hold_out = [], 0.0
    rows = ROWS | {name: settings_in(settings) for name, *settings in arguments.row}
    found: dict[str, Facts] = {}
    try:
        for name in arguments.corpora.split(","):
            bench = bench_of(name, arguments)
            report = of_corpus(bench, {name: rows[name] for name in bench.chosen(rows)}, not arguments.no_teach)
            keep(report, bench, "ids", "bench.ids")
            found[bench.data.name] = report.facts["rows"]
    except ValueError as error:
        parser.error(str(error))
    print("\n".join(summary(found)))


def of_corpus(bench: Bench, rows: Mapping[str, Mapping[str, Any]], teach: bool) -> Report:
    """All that is known of one corpus: a line a row in each of its tables."""
    runs = {name: found for name, changes in rows.items() if (found := bench.runs(name, changes))}
    facts: Facts = {name: {"ids": [numbers_of(run) for run in of_row]} for name, of_row in runs.items()}
    cells = [(name, *(spread([one[key] for one in facts[name]["ids"]]) for key in COLUMNS)) for name in runs]
    lines = [f"**{bench.data.name}**", "", *table(("IDs by themselves", *COLUMNS), cells)]
    exams = {f"zero-shot: {exam.split}": exam for exam in untaught(bench)}
    tables = {
        title: [Row(name, [ask(bench, run, exam) for run in of_row]) for name, of_row in runs.items()]
        for title, exam in exams.items()
    }
    if teach:
        exam = taught_by(bench)
        tables[f"fine-tuned: {exam.split}"] = [_taught(bench, name, rows[name], exam) for name in runs]
    for title, of_table in tables.items():
        lines += ["", *quality(of_table, "all", METRICS, title)]
        for row in of_table:
            facts[row.name][title] = [answer.judged["all"].means for answer in row.answers]
    about = about_quality(next(iter(tables.values())), "all", METRICS, len(bench.seeds))
    return Report([*lines, "", about], {"rows": facts})


def numbers_of(run: Run) -> dict[str, float | None]:
    """What report.json says of the IDs alone."""
    report = run.read_json("report.json")
    found = quality_of(report)
    return dict(zip(COLUMNS, (
        leaf(report, "ami", 0),
        found["positions"][0]["perplexity"],
        leaf(report, "hierarchical_precision", 0),
        leaf(report, "hierarchical_precision", 1),
        1 - found["sharing"] / found["documents"],
        found["neighbour_recall"]["words"][0],
        report["seconds"],
    ), strict=True))  # fmt: skip


COLUMNS = ("AMI(c1)", "perplexity", "pairs c1", "pairs c1, c2", "told apart", "BM25 neighbours", "seconds")


def untaught(bench: Bench) -> list[Exam]:
    """What is asked without teaching: halves of documents, their openings, and the set's own test queries."""
    openings = pseudo_queries(bench.corpus, ("title",), 1)
    exams = [_exam("half", halves(bench.corpus)), _exam("title", as_queries(openings, MOST_ASKED))]
    if bench.data.queries is None:
        return exams
    asked = bench.data.queries_by_split(bench.corpus.doc_ids)["test"].within(bench.corpus.row_of)
    return [*exams, replace(_exam("queries", asked), level=bench.data.level)]


def taught_by(bench: Bench) -> Exam:
    """What all are taught and then asked: the set's queries, or pseudo-queries and then halves of documents."""
    if bench.data.queries is not None:
        exam = searching(bench)
        if exam.queries is not None and len(exam.queries["train"]) >= FEWEST_QUERIES:
            return replace(exam, split="test")
    asked = halves(bench.corpus)
    queries = {"train": as_queries(pseudo_queries(bench.corpus, PSEUDO, 2)), "test": asked}
    return replace(_exam("half", asked), queries=queries)


def halves(corpus: Corpus) -> Queries:
    """Half of a document's words, beginning anywhere, of MOST_ASKED documents drawn at random."""
    found = []
    for document in corpus:
        words, dice = document.text.split(), random.Random(f"half {document.id}")
        if len(words) >= FEWEST_WORDS:
            start = dice.randint(0, len(words) - len(words) // 2)
            found.append(PseudoQuery(document.id, " ".join(words[start : start + len(words) // 2]), "half"))
    return as_queries(found, MOST_ASKED)


def as_queries(made: Iterable[PseudoQuery], most: int = 0) -> Queries:
    """As queries with one document each, those of one text joined; at most so many, drawn at random."""
    relevant: dict[str, list[str]] = {}
    for query in made:
        relevant.setdefault(query.text, []).append(query.doc_id)
    texts = sorted(relevant)
    drawn = random.Random(0).sample(texts, min(most or len(texts), len(texts)))
    return Queries.of({text: relevant[text] for text in sorted(drawn)})


def ask(bench: Bench, run: Run, exam: Exam) -> Answered:
    """How a run answers without being taught; asked once, and kept beside it."""
    file = run.path.with_name(f"{run.path.name}-{exam.split}-asked.json")
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept.get("questions") != exam.fingerprint:
        is_generated = run.config.indexer == "lmindexer"
        retriever = METHODS["generative"].open(run.path, TEXT) if is_generated else ByCodes(run.path)
        found = evaluate_methods({"it": retriever}, exam.questions, SEARCH, level=exam.level, progress=bench.progress)
        judged = found.first.judged["it"]
        values = {metric: by_query.tolist() for metric, by_query in judged.values.items()}
        kept = {"questions": exam.fingerprint, "query_ids": judged.query_ids, "values": values}
        write_text(file, json_text(kept) + "\n")
    judged = _judged(kept)
    return Answered({"all": judged}, Cost(0, 0.0, 0.0), run.read_json("report.json")["seconds"], 0.0, run.path)


def summary(found: Mapping[str, Facts]) -> list[str]:
    """A line a corpus and row: the mean over seeds of what matters most."""
    cells = []
    for corpus, rows in found.items():
        for name, facts in rows.items():
            ids = [spread([one[key] for one in facts["ids"]]) for key in ("AMI(c1)", "told apart", "seconds")]
            asked = {title: mean(one["recall@10"] for one in of_seeds)
                     for title, of_seeds in facts.items() if title != "ids" and of_seeds}  # fmt: skip
            shown = ", ".join(f"{title} {value:.3f}" for title, value in asked.items())
            cells.append((corpus, name, *ids, shown))
    return ["", *table(("corpus", "indexer", "AMI(c1)", "told apart", "seconds", "recall@10"), cells, texts=(0, 1, 5))]


def _taught(bench: Bench, name: str, changes: Mapping[str, Any], exam: Exam) -> Row:
    try:
        return Row(name, answered(bench, System(name, "generative", changes=changes), exam))
    except UnavailableError as reason:
        return Row(name, (), why_not=str(reason))


def _exam(split: str, queries: Queries) -> Exam:
    return Exam("search", queries.questions, SEARCH, split=split)


def _judged(kept: Mapping[str, Any]) -> Judged:
    import numpy as np

    return Judged.of(kept["query_ids"], {metric: np.array(values) for metric, values in kept["values"].items()})


if __name__ == "__main__":
    main()
