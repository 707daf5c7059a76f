"""Every indexer by its name: a newcomer is one line here, and is tested by being listed."""

from pathlib import Path
from typing import Protocol, Self

from lmindexer.config import IMPORTED, NO_IDS, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.ids.table import IdTable
from lmindexer.indexers.imported import ImportedIndexer
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.quantisers import QUANTISERS
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.indexers.without_ids import WithoutIds
from lmindexer.progress import Progress
from lmindexer.runs import Run


class Indexer(Protocol):
    """Corpus -> IDs, kept in a run folder."""

    config: LearnConfig
    run: Run | None
    ids: IdTable | None

    def __init__(self, config: LearnConfig) -> None: ...

    def fit(
        self, corpus: Corpus, out: str | Path, *, resume: bool = False, progress: Progress | None = None
    ) -> Self: ...

    @classmethod
    def load(cls, run: str | Path) -> Self: ...

    def index(self, corpus: Corpus, *, progress: Progress | None = None) -> IdTable: ...

    def corpus(self) -> Corpus: ...


INDEXERS: dict[str, type[Indexer]] = {"lmindexer": LMIndexer} | dict.fromkeys(QUANTISERS, TwoStepIndexer)
_ALL: dict[str, type[Indexer]] = INDEXERS | {IMPORTED: ImportedIndexer, NO_IDS: WithoutIds}  # these learn nothing


def make_indexer(config: LearnConfig) -> Indexer:
    """The indexer that `config.indexer` names, ready to `fit`."""
    return _ALL[config.indexer](config)


def load_indexer(run: str | Path) -> Indexer:
    """The indexer of a finished run folder, whichever it is. Raises InputError when it is none."""
    return _ALL[Run.open(Path(run)).config.indexer].load(run)
