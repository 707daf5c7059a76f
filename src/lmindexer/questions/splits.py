"""How queries are parted to learn from, to choose by and to judge by: names of splits, and texts kept apart."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries, load_queries, splits_of, text_key
from lmindexer.questions.query_records import SPLITS

DEV_SHARE = 0.1  # of training queries without a dev split
PART = 8  # words of a document that stand for a query
FEW_DEV = 200  # queries: fewer choose by luck, so that pseudo-queries are asked, too


def load_splits(queries: Path, qrels: Path | None, doc_ids: Collection[str]) -> dict[str, Queries]:
    """The train, dev and test queries that are there; queries that are not parted are all for training.

    Training queries are those that documents of the corpus answer. Dev and test queries are all kept: a document
    may come later. Their notes are told by the training queries, with the name of their split. Raises InputError as
    `load_queries`, and where there is no train.
    """
    present = splits_of(queries, qrels)
    if present and "train" not in present:
        raise InputError(f"{queries} has no split 'train' to learn from, only {', '.join(map(repr, sorted(present)))}")
    loaded = {
        split: load_queries(queries, qrels, split, doc_ids, answerable=split == "train")
        for split in SPLITS
        if split in present or (split == "train" and not present)
    }
    notes = loaded["train"].notes
    notes += tuple(f"{split}: {note}" for split in ("dev", "test") if split in loaded for note in loaded[split].notes)
    if passed_over := sorted(present - set(SPLITS)):
        plural = "s" if len(passed_over) > 1 else ""
        notes += (f"the queries of the split{plural} {', '.join(map(repr, passed_over))} are passed over",)
    return {
        split: replace(queries_of_split, notes=notes if split == "train" else ())
        for split, queries_of_split in loaded.items()
    }


def keep_apart(train: Sequence[Queries], splits: Mapping[str, Queries]) -> tuple[list[Queries], dict[str, Queries]]:
    """No text of test is learned from or chosen by, none of dev is learned from; what was left out is in the notes.

    `train` are sets of queries to learn from, the first with the notes, the others pseudo-queries. Texts are the
    same whatever their case and white space. Raises InputError when nothing is left to learn from.
    """
    test = _keys(splits.get("test"))
    dev = _keys(splits.get("dev"))
    splits, notes = dict(splits), []
    if dev & test:
        splits["dev"] = _without(splits["dev"], test)
        left_out = len(dev) - len(splits["dev"])
        notes.append(f"{left_out:,} of {len(dev):,} dev queries have the words of test queries and are left out")
    left = [_without(queries, test | dev) for queries in train]
    for name, whole, part in (("training queries", train[:1], left[:1]), ("pseudo-queries", train[1:], left[1:])):
        of_all, kept = sum(map(len, whole)), sum(map(len, part))
        if kept < of_all:
            notes.append(
                f"{of_all - kept:,} of {of_all:,} {name} have the words of dev or test queries and are left out"
            )
    if not len(left[0]):
        raise InputError(
            f"all {len(train[0]):,} training queries have the words of dev or test queries; there is nothing to learn"
        )
    left[0] = replace(left[0], notes=left[0].notes + tuple(notes))
    return left, splits


def dev_apart(train: Sequence[Queries], seed: int) -> tuple[list[Queries], Queries, str]:
    """What is left of each set to learn from, the queries to choose by, and a sentence that tells of them.

    A tenth of the first set is kept apart; where that is fewer than 200 queries, others fill it up. A text that is kept
    apart is in no set, so that nothing that is asked was trained on. Raises InputError for a single query.
    """
    first, *others = train
    keys = sorted(set(map(text_key, first.texts)))
    if len(keys) < 2:
        raise InputError("there is only one training query; give at least two, or a dev split")
    of_first = _drawn(keys, max(round(DEV_SHARE * len(keys)), 1), seed)
    pool = sorted({text_key(text) for queries in others for text in queries.texts} - set(keys))
    of_others = _drawn(pool, max(min(FEW_DEV - len(of_first), round(DEV_SHARE * len(pool))), 0), seed)
    dev = [_of_keys(first, of_first), *(_of_keys(queries, of_others) for queries in others)]
    left = [_of_keys(queries, set(map(text_key, queries.texts)) - of_first - of_others) for queries in train]
    taken: set[str] = set()
    query_ids = []
    for n, queries in enumerate(dev):
        query_ids += [f"{n}/{id}" if id in taken else id for id in queries.query_ids]
        taken.update(queries.query_ids)
    whole = Queries(
        tuple(query_ids),
        tuple(text for queries in dev for text in queries.texts),
        tuple(grades for queries in dev for grades in queries.relevant),
        joined_ids=dev[0].joined_ids,
    )
    apart = f"{len(dev[0]):,} of the training queries" + (
        f" and {len(whole) - len(dev[0]):,} others" if of_others else ""
    )
    return left, whole, f"there are no dev queries, so {apart} are kept apart to choose by"


def beginnings(queries: Queries, corpus: Corpus) -> Queries:
    """The first words of the documents that answer `queries`, to choose by where there is no second query."""
    found = {}
    for doc_id in dict.fromkeys(doc_id for grades in queries.relevant for doc_id in grades):
        text = " ".join(corpus[corpus.row_of[doc_id]].text.split()[:PART])
        if text and text_key(text) not in _keys(queries):
            found[text] = [doc_id]
    if not found:
        return Queries((), (), ())
    note = "there is only one training query and none for dev; the first words of its documents choose the epoch"
    return replace(Queries.of(found), notes=(note,))


def with_note_of_training(queries: Queries, taught: Queries) -> Queries:
    """`queries`, and a note of how many of them were learned from among `taught`."""
    known = _keys(taught)
    same = sum(text_key(text) in known for text in queries.texts)
    if not same:
        return queries
    note = f"{same:,} of {len(queries):,} queries have the words of queries that the run was trained with"
    return replace(queries, notes=(*queries.notes, note))


def _keys(queries: Queries | None) -> set[str]:
    return set() if queries is None else set(map(text_key, queries.texts))


def _without(queries: Queries, keys: set[str]) -> Queries:
    return queries.select(n for n, text in enumerate(queries.texts) if text_key(text) not in keys)


def _drawn(keys: Sequence[str], n: int, seed: int) -> set[str]:
    order = np.random.default_rng(seed).permutation(len(keys))
    return {keys[place] for place in order[:n].tolist()}


def _of_keys(queries: Queries, keys: Container[str]) -> Queries:
    return queries.select(n for n, text in enumerate(queries.texts) if text_key(text) in keys)
