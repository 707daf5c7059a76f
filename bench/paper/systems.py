"""Tables of systems put to use: recommendation (3), search (4, 6), time (14), documents never seen (15)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.paper import rows as of_paper
from bench.paper.answers import COLD, Exam, HeldOut, answered
from bench.paper.bench import Bench, UnavailableError
from bench.paper.data import missing
from bench.paper.held_out import drawn, questions_of_held_out
from bench.paper.report import Report
from bench.paper.rows import System
from bench.paper.table import Row, about_quality, costs, quality
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import Metric, parse_metrics
from lmindexer.judging.costs import seconds_of
from lmindexer.methods.registry import METHODS
from lmindexer.questions.questions import TEXT
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.questions.sequences import asked_of, held_out, next_items
from lmindexer.tables import table

RECOMMEND = parse_metrics(["recall@5,10", "ndcg@5,10"])
SEARCH = parse_metrics(["recall@1,10", "ndcg@5,10", "map@5", "mrr@10"])  # of every table, so that it is asked once
HELD_OUT = parse_metrics(["recall@10,50,100"])
PARTS = {
    "as_is": "As recommended, whatever the user took already",
    "masked": "Without the user's own items; later items move up",
    COLD: "Cold items alone: users whose next item is in no training part, without their own items",
}
AMAZON, RETRIEVAL = ("beauty", "sports", "toys"), ("nq320k", "trec-dl", "msmarco-1m")  # sets of the paper
PROTOCOL = "The paper does not say whether a user's own items are left out; its numbers stand where they are not."
NO_T5 = "The paper's generative models start from T5-base, ours from the bundled encoder unless --learn says otherwise."


def table3(bench: Bench) -> Report:
    """Recommendation: as it is, without the user's own items, and cold items alone."""
    found = rows_of(bench, of_paper.TABLE3, recommending(bench))
    lines = []
    for part, title in PARTS.items():
        if any(part in row.answers[0].judged for row in found if row.answers):
            lines += [f"**{title}** ({bench.data.name})", "", *_quality(bench, found, part, RECOMMEND), ""]
    lines.append(PROTOCOL)
    return _report(lines, found, AMAZON)


def table4(bench: Bench) -> Report:
    """Product search."""
    return _search_table(bench, of_paper.TABLE4, ("ndcg@5", "map@5", "recall@10", "mrr@10"), AMAZON)


def table6(bench: Bench) -> Report:
    """Document retrieval."""
    return _search_table(bench, of_paper.TABLE6, ("recall@1", "recall@10", "ndcg@10", "mrr@10"), RETRIEVAL)


def table14(bench: Bench) -> Report:
    """How long the answers to all test queries take, in parts of 256; measured each time."""
    exam = searching(bench)
    found, cells, facts = rows_of(bench, of_paper.TABLE14, exam), [], {}
    for row in found:
        paper = of_paper.SECONDS.get(row.name) if bench.data.name == "beauty" else None
        seconds = None
        if row.answers:
            retriever = METHODS[of_paper.TABLE14[row.name].method].open(row.answers[0].run, TEXT)
            retriever.answer(exam.questions.asked[:1], 10)
            seconds = seconds_of(retriever, exam.questions.asked, 10)
        facts[row.name] = {"seconds": seconds, "paper": paper}
        ours = _seconds(seconds, len(exam.questions))
        cells.append((row.name, *ours, *_seconds(paper, of_paper.QUERIES_OF_TABLE14)))
    count = f"{len(exam.questions):,} queries"
    head = (bench.data.name, f"seconds for {count}", "ms a query", "paper: seconds for 338 queries", "ms a query")
    how = f"10 of {len(bench.corpus):,} documents a query, asked in parts of 256, after one that is not counted."
    lines = [*table(head, cells), "", how]
    return _report(lines, found, AMAZON, {"latency": facts})


def table15(bench: Bench) -> Report:
    """Documents kept from learning and teaching, added afterwards: what they alone answer."""
    share = bench.hold_out
    held = drawn(bench.corpus, share)
    if len(held) not in range(1, len(bench.corpus) - 1):
        raise InputError(
            f"--hold-out {share:g} of {len(bench.corpus):,} documents is none or all of them; give another"
        )
    kept, later = (
        Corpus.from_documents((d for d in bench.corpus if (d.id in held) is is_later), keep_empty=True)
        for is_later in (False, True)
    )
    name = f"{bench.data.name}/held-out-{share:g}"
    without = replace(bench, corpus=kept, data=replace(bench.data, name=name))
    exam = searching(bench, held) if bench.data.queries is not None else recommending(bench, held)
    exam = replace(exam, metrics=HELD_OUT, split="held-out", held_out=HeldOut(later, bench))
    found = rows_of(without, of_paper.TABLE15, exam, bench.data.name)
    lines = _quality(bench, found, "all" if exam.task == "search" else "masked", HELD_OUT)
    lines += [
        "",
        f"{len(later):,} of {len(bench.corpus):,} documents came after learning and teaching. The questions are those "
        "that they alone answer; all documents are searched.",
    ]
    return _report(lines, found, AMAZON)


def rows_of(bench: Bench, rows: Mapping[str, System], exam: Exam, data: str = "") -> list[Row]:
    """Each chosen row, run or with the reason why not; the paper's numbers are of `data`, by default the bench's."""
    names = bench.chosen(rows)
    bench.check_teaching([system.method for system in rows.values()], exam.task)
    found = []
    for name in names:
        bench.progress.say(f"{bench.data.name}: {name}")
        paper = rows[name].paper.get(data or bench.data.name, {})
        try:
            found.append(Row(name, answered(bench, rows[name], exam), paper))
        except UnavailableError as reason:
            found.append(Row(name, (), paper, str(reason)))
    return found


def recommending(bench: Bench, held: frozenset[str] = frozenset()) -> Exam:
    """What users took last; of documents that are `held` out, those of the users who took one of them last."""
    if bench.data.sequences is None:
        raise InputError(f"{bench.data.name} has no sequences of what users took; put sequences.txt into its folder")
    doc_ids = bench.corpus.doc_ids
    sequences = load_sequences(bench.data.sequences, doc_ids)
    questions = asked_of(sequences, "test", doc_ids)
    if held:
        examples = held_out(sequences, "test")
        of_held = np.isin(examples.target, [bench.corpus.row_of[doc_id] for doc_id in held])
        questions = replace(next_items(examples.select(np.flatnonzero(of_held)), doc_ids), unseen=())
    return Exam("recommend", questions, RECOMMEND, sequences=sequences)


def searching(bench: Bench, held: frozenset[str] = frozenset()) -> Exam:
    """The test queries; of documents that are `held` out, those that these alone answer."""
    queries = bench.data.queries_by_split(bench.corpus.doc_ids)
    questions = questions_of_held_out(queries, bench.corpus.doc_ids, held).questions
    return Exam("search", questions, SEARCH, queries=queries, level=bench.data.level)


def _search_table(bench: Bench, rows: Mapping[str, System], metrics: Sequence[str], sets: Sequence[str]) -> Report:
    found = rows_of(bench, rows, searching(bench))
    lines = _quality(bench, found, "all", parse_metrics(list(metrics)))
    if bench.data.level:
        lines += ["", f"Relevant is a grade of {bench.data.level:g} or more; ndcg takes the grades as they are."]
    return _report([*lines, ""], found, sets)


def _quality(bench: Bench, rows: Sequence[Row], part: str, metrics: Sequence[Metric]) -> list[str]:
    names = [str(metric) for metric in metrics]
    shown = [row if part in ("all", "as_is") else replace(row, paper={}) for row in rows]
    return [*quality(shown, part, names, bench.data.name), "", about_quality(rows, part, names, len(bench.seeds))]


def _report(
    lines: Sequence[str], rows: Sequence[Row], sets: Sequence[str], facts: Mapping[str, Any] | None = None
) -> Report:
    """The lines, then costs, and what was not run: systems, and the paper's data that is not here."""
    lines = [*lines, "", "**Costs**", "", *costs(rows), "", NO_T5]
    lines += [f"Not run: {row.name}: {row.why_not}" for row in rows if row.why_not]
    lines += [f"Not run: all of {line}." for line in missing(sets)]
    return Report(lines, {"rows": [row.to_dict() for row in rows]} | dict(facts or {}))


def _seconds(seconds: float | None, queries: int) -> tuple[str, str]:
    return ("", "") if seconds is None else (f"{seconds:.2f}", f"{1000 * seconds / queries:.1f}")
