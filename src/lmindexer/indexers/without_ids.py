"""A run of documents alone, for methods that need no IDs."""

from pathlib import Path

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Source
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.store import NOT_LEARNED, begin_run, check_corpus, load_documents, no_ids, save_documents
from lmindexer.progress import Progress
from lmindexer.runs import Run, writing


class WithoutIds:
    """The indexer of `--indexer none`: it keeps the documents and gives no IDs."""

    ids: IdTable | None = None

    def __init__(self, config: LearnConfig) -> None:
        self.config = config
        self.run: Run | None = None

    def fit(
        self,
        corpus: Corpus,
        out: str | Path,
        *,
        vectors: Source | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> "WithoutIds":
        """Keep the documents in the run folder `out`. Raises InputError as every indexer's `fit`, and for vectors."""
        check_corpus(corpus)
        if vectors is not None or self.config.given_vectors:
            raise InputError("a run without IDs keeps no vectors; leave them out")
        with writing(Path(out), wait=False, make=True):
            self.run = begin_run(self.config, corpus, Path(out), resume, device="cpu", bf16=False)
            if self.run.facts["state"] != "finished":
                save_documents(self.run.path / "documents.parquet", corpus)
                self.run.finish()
        return self

    @classmethod
    def load(cls, run: str | Path) -> "WithoutIds":
        """The documents of a finished run folder. Raises InputError when it is none."""
        folder = Run.open(Path(run))
        indexer = cls(folder.config)
        indexer.run = folder
        return indexer

    def index(self, corpus: Corpus, *, vectors: Source | None = None, progress: Progress | None = None) -> IdTable:
        """Raises InputError: there are no IDs."""
        raise InputError(NOT_LEARNED) if self.run is None else no_ids(self.run)

    def corpus(self) -> Corpus:
        """The documents, as the run folder keeps them."""
        if self.run is None:
            raise InputError(NOT_LEARNED)
        return load_documents(self.run)
