"""Documents that nothing is learned from, and the queries that they alone answer (Table 15)."""

from collections.abc import Collection, Mapping

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries, text_key


def drawn(corpus: Corpus, share: float) -> frozenset[str]:
    """The ids of a share of the documents, always the same ones."""
    chosen = np.random.default_rng(0).permutation(len(corpus))[: round(share * len(corpus))]
    return frozenset(corpus.doc_ids[row] for row in chosen.tolist())


def questions_of_held_out(parts: Mapping[str, Queries], doc_ids: Collection[str], held: Collection[str]) -> Queries:
    """The test queries; with documents that are `held` out, the queries of every split that these alone answer.

    Of none of those was anything trained on: who has another answer was, and so were its words in another split.
    Raises InputError where there is none.
    """
    if not held:
        return parts["test"]
    held = set(held)
    trained_on = {
        text_key(text)
        for split in ("train", "dev")
        if split in parts
        for text, grades in zip(parts[split].texts, parts[split].relevant, strict=True)
        if grades.keys() & set(doc_ids) - held
    }
    rows: dict[str, tuple[str, str, dict[str, float]]] = {}
    for split in sorted(parts):
        queries = parts[split]
        for id, text, grades in zip(queries.query_ids, queries.texts, queries.relevant, strict=True):
            if grades and grades.keys() <= held and text_key(text) not in trained_on:
                rows.setdefault(text_key(text), (f"{split}/{id}", text, grades))
    if not rows:
        raise InputError("no query has held-out documents for its only answers; hold out more")
    ids, texts, relevant = zip(*rows.values(), strict=True)
    return Queries(ids, texts, relevant)
