"""Semantic document IDs learned by a language model, after "Language Models as Semantic Indexers" (ICML 2024)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmindexer.config import LearnConfig
    from lmindexer.corpus.documents import Corpus, Document
    from lmindexer.errors import InputError
    from lmindexer.ids.table import IdTable
    from lmindexer.indexers.lmindexer import LMIndexer
    from lmindexer.indexers.registry import load_indexer
    from lmindexer.indexers.two_step import TwoStepIndexer
    from lmindexer.methods.registry import load_retriever
    from lmindexer.teaching.finetune import finetune

_HOMES = {
    "Corpus": "lmindexer.corpus.documents",
    "Document": "lmindexer.corpus.documents",
    "IdTable": "lmindexer.ids.table",
    "InputError": "lmindexer.errors",
    "LMIndexer": "lmindexer.indexers.lmindexer",
    "LearnConfig": "lmindexer.config",
    "TwoStepIndexer": "lmindexer.indexers.two_step",
    "finetune": "lmindexer.teaching.finetune",
    "load_indexer": "lmindexer.indexers.registry",
    "load_retriever": "lmindexer.methods.registry",
}

__all__ = [
    "Corpus",
    "Document",
    "IdTable",
    "InputError",
    "LMIndexer",
    "LearnConfig",
    "TwoStepIndexer",
    "finetune",
    "load_indexer",
    "load_retriever",
]


def __getattr__(name: str) -> Any:
    """Import on first use: `lmindexer --help` must not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lmindexer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
