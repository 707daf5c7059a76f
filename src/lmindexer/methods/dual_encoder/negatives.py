"""What a dual encoder learns to tell a query's documents from: hard negatives by BM25, and those of a batch."""

from collections.abc import Sequence

import numpy as np

from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.questions.task import Task


def relevant_rows(task: Task) -> list[set[int]]:
    """By `task.source`, the rows of all documents that answer a question."""
    found: list[set[int]] = [set() for _ in range(int(task.source.max(initial=-1)) + 1)]
    for source, target in zip(task.source.tolist(), task.target.tolist(), strict=True):
        found[source].add(target)
    return found


def hard_negatives(
    words: Bm25Retriever, texts: Sequence[str], relevant: Sequence[set[int]], count: int, seed: int
) -> np.ndarray:
    """Rows (Q, count) of the documents that BM25 ranks highest for each text and that are not relevant to it.

    Where too few have a word of it, others are drawn, and where too few are not relevant, there are fewer for all.
    """
    N = len(words.doc_ids)
    count = min(count, N - max(map(len, relevant), default=0))
    row_of = {doc_id: row for row, doc_id in enumerate(words.doc_ids)}
    depth = count + max(map(len, relevant), default=0)
    negatives = np.zeros((len(texts), count), np.int64)
    dice = np.random.default_rng([seed, 2])
    for n, (hits, right) in enumerate(zip(words.search(texts, depth) if depth else [], relevant, strict=False)):
        found = [row for row in (row_of[hit.doc_id] for hit in hits) if row not in right][:count]
        while len(found) < count:
            row = int(dice.integers(N))
            if row not in right and row not in found:
                found.append(row)
        negatives[n] = found
    return negatives


def batches_apart(
    pairs: np.ndarray,
    sources: np.ndarray,
    read: Sequence[Sequence[int]],
    relevant: Sequence[set[int]],
    size: int,
) -> list[np.ndarray]:
    """Pairs, in their order, in batches of at most `size` in which no document answers the question of another pair.

    `read[e]` are all documents that pair e brings, `relevant[q]` those that answer question q, and `sources[e]` is the
    question of pair e. What does not fit into a batch waits for the next.
    """
    waiting, batches = pairs.tolist(), []
    while waiting:
        batch, later = list[int](), list[int]()
        answers, present, asked = set[int](), set[int](), set[int]()
        for at, pair in enumerate(waiting):
            question = int(sources[pair])
            right = relevant[question]
            if len(batch) == size:
                later += waiting[at:]
                break
            if question in asked or answers.intersection(read[pair]) or right & present:
                later.append(pair)
                continue
            batch.append(pair)
            asked.add(question)
            answers |= right
            present.update(read[pair])
        batches.append(np.array(batch))
        waiting = later
    return batches
