"""MS MARCO's passages, queries and judgements, and the paper's subset of a million passages (section 4.5)."""

from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.trec import read_qrels
from lmindexer.prepare.paper import TABLE_8, SearchCounts
from lmindexer.prepare.prepared import Count, Prepared, counted
from lmindexer.prepare.raw_files import columns, find
from lmindexer.prepare.writing import BeirFolder
from lmindexer.progress import Progress

PASSAGES = 1_000_000
Qrels = dict[str, dict[str, float]]


def prepare(raw: Path, folder: Path, progress: Progress, passages: int = PASSAGES, seed: int = 0) -> Prepared:
    """The subset as documents, the training queries, and the small dev queries for the test, as in the paper."""
    collection, train, test = find(raw, "collection.tsv"), train_files(raw), test_files(raw)
    qrels = {"train": read_qrels(train[1]), "test": read_qrels(test[1])}
    subset = Subset(collection, documents_of(*qrels.values()), passages, seed, progress)
    notes = list(subset.notes)
    with BeirFolder(folder) as beir:
        for passage, text in subset.passages(progress):
            beir.document({"_id": passage, "title": "", "text": text})
        notes += write_queries(beir, "train", [train[0]], qrels["train"])
        notes += write_queries(beir, "test", [test[0]], qrels["test"])
    return Prepared(
        sources=(collection, *train, *test),
        counts=search_counts(beir, TABLE_8["msmarco"]),
        rules=(subset.rule, "the dev queries (the small set) are the test queries, as in the paper"),
        commands=commands("msmarco"),
        notes=tuple(notes),
    )


def train_files(raw: Path) -> tuple[Path, Path]:
    """Training queries and their judgements."""
    return find(raw, "queries.train.tsv"), find(raw, "qrels.train.tsv")


def test_files(raw: Path) -> tuple[Path, Path]:
    """Dev queries and their judgements: the small set of 6,980, else all."""
    return (
        find(raw, "queries.dev.small.tsv", "queries.dev.tsv"),
        find(raw, "qrels.dev.small.tsv", "qrels.dev.tsv"),
    )


def documents_of(*qrels: Qrels) -> set[str]:
    """The documents that are relevant to any query."""
    return {doc_id for judged in qrels for grades in judged.values() for doc_id, grade in grades.items() if grade > 0}


class Subset:
    """So many passages of a collection: all that are relevant to a query, and others at random.

    Which others is decided by a hash of their ids and the seed, so that the order of the file does not count; the
    collection is read twice, and 8 bytes a passage are kept.
    """

    def __init__(self, collection: Path, relevant: set[str], size: int, seed: int, progress: Progress) -> None:
        self.collection, self.relevant, self.seed = collection, relevant, seed
        hashes = array("Q")
        found = 0
        for _, (passage, _) in counted(columns(collection, 2), progress, "counting passages", "passages"):
            if passage in relevant:
                found += 1
            else:
                hashes.append(self._hash(passage))
        others = size - found if size else len(hashes)
        if others < 0:
            raise InputError(
                f"{found:,} passages of {collection} are relevant to some query, more than --passages {size:,}; give "
                "more, or 0 for all"
            )
        order = np.sort(np.frombuffer(hashes, np.uint64)) if hashes else np.zeros(0, np.uint64)
        self._limit = int(order[others]) if others < len(order) else 2**64  # hashes below it are kept
        kept = min(others, len(order))
        self.rule = (
            f"{found + kept:,} of {found + len(order):,} passages: the {found:,} that are relevant to a query of train "
            f"or dev, and {kept:,} others by a hash of their id and the seed {seed}"
        )
        lost = len(relevant) - found
        self.notes = (f"{lost:,} relevant passages are not in {collection}",) if lost else ()

    def passages(self, progress: Progress) -> Iterator[tuple[str, str]]:
        """Id and text of the passages of the subset, in the order of the file."""
        for _, (passage, text) in counted(columns(self.collection, 2), progress, "writing passages", "passages"):
            if passage in self.relevant or self._hash(passage) < self._limit:
                yield passage, text

    def _hash(self, passage: str) -> int:
        return int.from_bytes(blake2b(f"{self.seed}\0{passage}".encode(), digest_size=8).digest(), "big")


def write_queries(beir: BeirFolder, split: str, files: Iterable[Path], qrels: Qrels) -> list[str]:
    """Write the queries that have judgements, with these; give a note where some have no text."""
    left = set(qrels)
    for file in files:
        for _, (query_id, text) in columns(file, 2):
            if query_id in left:
                left.discard(query_id)
                beir.query(query_id, text)
                beir.label(split, query_id, qrels[query_id])
    names = " and ".join(file.name for file in files)
    return [f"{len(left):,} judged queries are not in {names} (the first: {min(left)!r})"] if left else []


def search_counts(beir: BeirFolder, paper: SearchCounts) -> tuple[Count, ...]:
    """What was written beside a row of Table 8."""
    counts = [Count("documents", beir.documents, paper.documents)]
    for place, split in enumerate(("train", "test")):
        counts.append(Count(f"{split} queries", beir.queries[split], paper.queries[place]))
        counts.append(Count(f"{split} labels", beir.labels[split], paper.labels[place]))
    return tuple(counts)


def commands(name: str, learning: str = "", judging: str = "") -> tuple[str, ...]:
    """What to type next for a set of documents and queries, with flags that it needs."""
    return (
        f"lmindexer learn DATA/corpus.jsonl.gz{learning} --out runs/{name}",
        f"lmindexer finetune runs/{name} --queries DATA --out runs/{name}-search",
        f"lmindexer evaluate runs/{name}-search --queries DATA --method bm25 --method generative{judging}",
    )
