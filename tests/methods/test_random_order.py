"""A random order: the same for the same question, and by chance no better than chance."""

import itertools

import numpy as np
import pytest

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.methods.random_order import RandomRetriever

N = 50
CORPUS = Corpus.from_documents(Document(f"d{n}", "a rose") for n in range(N))


def order_of(retriever: RandomRetriever, question: str, beside: tuple[str, ...] = ()) -> list[str]:
    return [hit.doc_id for hit in retriever.search([*beside, question], N)[-1]]


def test_a_question_has_one_order_and_a_seed_another():
    retriever = RandomRetriever(CORPUS)
    first = order_of(retriever, "rose")
    assert sorted(first) == sorted(CORPUS.doc_ids)
    assert first == order_of(RandomRetriever(CORPUS), "rose", ("soil", "tulip"))
    orders = [first, order_of(retriever, "soil"), order_of(RandomRetriever(CORPUS, seed=1), "rose")]
    assert all(one != other for one, other in itertools.combinations(orders, 2))
    turned = Corpus.from_documents(CORPUS[row] for row in reversed(range(N)))
    assert order_of(RandomRetriever(turned), "rose") == first, "wherever a document stands in a file"


def test_it_knows_nothing():
    """Of 2,000 questions each document is first for about one in fifty; histories are ordered as well."""
    retriever = RandomRetriever(CORPUS)
    found = [hits[0].doc_id for hits in retriever.search([f"question {n}" for n in range(2000)], 1)]
    shares = np.array([found.count(doc_id) for doc_id in CORPUS.doc_ids]) / 2000
    assert shares.max() < 0.04
    assert shares.min() > 0.005
    one, other = retriever.recommend([["d1", "d2"], ["d2", "d1"]], 5)
    assert one != other
    assert [hit.score for hit in one] == pytest.approx(sorted((hit.score for hit in one), reverse=True))
