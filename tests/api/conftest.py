"""Runs that the tests of the Python API share, made in memory."""

from pathlib import Path

import pytest

import lmindexer as lm
from small_tasks import LEARN, QUICK, QUIET

QUERIES = {"the rose": ["doc3"], "old pan": {"doc6": 2, "doc7": 1}, "mast": ["doc9"]}


@pytest.fixture(scope="session")
def rows(corpus: lm.Corpus) -> list[dict[str, object]]:
    """The small corpus as Python has it, in columns of other names than the usual."""
    return [{"key": document.id, "words": document.text, "kind": list(document.label)} for document in corpus]


@pytest.fixture(scope="session")
def items(rows: list[dict[str, object]], checkpoints: dict[str, Path]) -> lm.LMIndexer:
    """Learned in memory; not to be changed."""
    corpus = lm.Corpus.of(rows, id="key", text="words", label="kind")
    return lm.LMIndexer(backbone=str(checkpoints["bert"]), **LEARN).fit(corpus, progress=QUIET)


@pytest.fixture(scope="session")
def search(items: lm.LMIndexer) -> lm.OpenRun:
    """Taught to search."""
    return items.teach(queries=QUERIES, test={"frost": ["doc4"]}, rescore=False, progress=QUIET, **QUICK)


@pytest.fixture(scope="session")
def histories(corpus: lm.Corpus) -> list[list[str]]:
    """80 users take six documents each, one after another."""
    ring = [*corpus.doc_ids, *corpus.doc_ids]
    return [ring[start : start + 6] for start in range(len(corpus))]


@pytest.fixture(scope="session")
def recommend(items: lm.LMIndexer, histories: list[list[str]]) -> lm.OpenRun:
    """Taught to recommend."""
    return items.teach(histories=histories, progress=QUIET, **QUICK)
