"""TREC's Deep Learning track of 2019 and 2020 over the subset of MS MARCO: one larger test (section 4.5)."""

from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.evaluation.trec import read_qrels
from lmindexer.prepare.msmarco import (
    PASSAGES,
    Qrels,
    Subset,
    commands,
    documents_of,
    search_counts,
    test_files,
    train_files,
    write_queries,
)
from lmindexer.prepare.paper import TABLE_8
from lmindexer.prepare.prepared import Count, Prepared
from lmindexer.prepare.raw_files import find
from lmindexer.prepare.writing import BeirFolder
from lmindexer.progress import Progress

YEARS = (2019, 2020)
RELEVANT = 2  # the grade from which the track takes a passage for relevant


def prepare(raw: Path, folder: Path, progress: Progress, passages: int = PASSAGES, seed: int = 0) -> Prepared:
    """The same documents and training queries as `msmarco` with this seed, and the track's queries for the test."""
    collection, train, dev = find(raw, "collection.tsv"), train_files(raw), test_files(raw)
    queries = [find(raw, f"msmarco-test{year}-queries.tsv") for year in YEARS]
    judgements = [find(raw, f"{year}qrels-pass.txt", f"qrels.dl{year % 100}-passage.txt") for year in YEARS]
    qrels = {"train": read_qrels(train[1]), "test": _merged(judgements)}
    subset = Subset(collection, documents_of(qrels["train"], read_qrels(dev[1])), passages, seed, progress)
    judged = {doc_id for grades in qrels["test"].values() for doc_id in grades}
    present = set()
    with BeirFolder(folder) as beir:
        for passage, text in subset.passages(progress):
            beir.document({"_id": passage, "title": "", "text": text})
            if passage in judged:
                present.add(passage)
        test = _within(qrels["test"], present)
        if not test:
            raise InputError(f"no passage that was judged relevant is among the {beir.documents:,} of the subset; give "
                             "more --passages")  # fmt: skip
        notes = [*subset.notes, *write_queries(beir, "train", [train[0]], qrels["train"])]
        notes += write_queries(beir, "test", queries, test)
    left_out = len(qrels["test"]) - len(test)
    if left_out:
        notes.append(f"{left_out:,} of {len(qrels['test']):,} test queries have no relevant passage in the subset")
    at_level = [sum(grade >= RELEVANT for grade in grades.values()) for grades in test.values()]
    return Prepared(
        sources=(collection, *train, *dev, *queries, *judgements),
        counts=(
            *search_counts(beir, TABLE_8["trec-dl"]),
            Count(f"test queries with a passage of grade {RELEVANT} or 3", sum(map(bool, at_level))),
            Count(f"test labels of grade {RELEVANT} or 3", sum(at_level)),
            Count(
                "test labels of grade 1 to 3", sum(grade > 0 for grades in test.values() for grade in grades.values())
            ),
        ),
        rules=(
            subset.rule,
            "the judgements of 2019 and 2020 are one test; those of passages outside the subset are left out, and so "
            "are queries without a passage of grade 1 or more in it",
            f"grades 0 to 3 are kept; the track takes {RELEVANT} and 3 for relevant: evaluate with --relevance-level "
            f"{RELEVANT}",
        ),
        commands=commands("trec-dl", judging=f" --relevance-level {RELEVANT}"),
        notes=tuple(notes),
    )


def _merged(files: list[Path]) -> Qrels:
    """The judgements of all years. Raises InputError for a query that is in two."""
    merged: Qrels = {}
    for file in files:
        found = read_qrels(file)
        if both := merged.keys() & found.keys():
            raise InputError(f"{file} judges the query {min(both)!r}, as {files[0]} does; they must be of two years")
        merged |= found
    return merged


def _within(qrels: Qrels, present: set[str]) -> Qrels:
    """The judgements of passages that are present, of queries to which one of these is relevant."""
    kept = {query: {doc: grade for doc, grade in grades.items() if doc in present} for query, grades in qrels.items()}
    return {query: grades for query, grades in kept.items() if max(grades.values(), default=0) > 0}
