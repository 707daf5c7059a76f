"""Semantic document IDs learned by a language model, after "Language Models as Semantic Indexers" (ICML 2024)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmindexer.api.evaluation import compare, evaluate
    from lmindexer.api.learning import LMIndexer, TwoStepIndexer, import_ids, without_ids
    from lmindexer.api.run import OpenRun, load
    from lmindexer.config import LearnConfig
    from lmindexer.corpus.documents import Corpus, Document
    from lmindexer.errors import InputError
    from lmindexer.ids.table import IdTable
    from lmindexer.judging.evaluation import Evaluation
    from lmindexer.methods.retriever import Hit, Retriever
    from lmindexer.progress import Progress
    from lmindexer.questions.histories import Histories
    from lmindexer.questions.queries import Queries
    from lmindexer.questions.questions import Questions

    __version__: str

_HOMES = {
    "Corpus": "lmindexer.corpus.documents",
    "Document": "lmindexer.corpus.documents",
    "Evaluation": "lmindexer.judging.evaluation",
    "Histories": "lmindexer.questions.histories",
    "Hit": "lmindexer.methods.retriever",
    "IdTable": "lmindexer.ids.table",
    "InputError": "lmindexer.errors",
    "LMIndexer": "lmindexer.api.learning",
    "LearnConfig": "lmindexer.config",
    "OpenRun": "lmindexer.api.run",
    "Progress": "lmindexer.progress",
    "Queries": "lmindexer.questions.queries",
    "Questions": "lmindexer.questions.questions",
    "Retriever": "lmindexer.methods.retriever",
    "TwoStepIndexer": "lmindexer.api.learning",
    "compare": "lmindexer.api.evaluation",
    "evaluate": "lmindexer.api.evaluation",
    "import_ids": "lmindexer.api.learning",
    "load": "lmindexer.api.run",
    "without_ids": "lmindexer.api.learning",
}

__all__ = [
    "Corpus",
    "Document",
    "Evaluation",
    "Histories",
    "Hit",
    "IdTable",
    "InputError",
    "LMIndexer",
    "LearnConfig",
    "OpenRun",
    "Progress",
    "Queries",
    "Questions",
    "Retriever",
    "TwoStepIndexer",
    "__version__",
    "compare",
    "evaluate",
    "import_ids",
    "load",
    "without_ids",
]


def __getattr__(name: str) -> Any:
    """Import on first use: `lmindexer --help` must not wait for torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lmindexer")
    if name not in _HOMES:
        raise AttributeError(f"module 'lmindexer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
