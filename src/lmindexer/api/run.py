"""A run that is open: its documents and IDs, and every verb that works on it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lmindexer.api.folders import TemporaryRun, place_of
from lmindexer.api.report import Report
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.vectors import Source
from lmindexer.errors import InputError
from lmindexer.explore.report import report_of
from lmindexer.ids.table import IdTable
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.indexers.check import check_run
from lmindexer.indexers.registry import Indexer, load_indexer
from lmindexer.indexers.store import NOT_LEARNED, columns_of, documents_and_ids, load_documents, load_ids
from lmindexer.methods.registry import method_for, method_of
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.methods.taught import is_finetuned, read_config
from lmindexer.progress import Progress
from lmindexer.questions.histories import HistoryData
from lmindexer.questions.pseudo_queries import PseudoQuery
from lmindexer.questions.queries import QUERIES, Queries, QueryData, splits_of
from lmindexer.questions.query_records import split_name
from lmindexer.questions.questions import Questions
from lmindexer.questions.sequence_files import SEQUENCES, load_sequences, load_taught
from lmindexer.questions.sequences import asked_of
from lmindexer.runs import Run, copy_run, writing
from lmindexer.values import DocId

IN_MEMORY = "a run in memory"  # in place of a folder that goes with its object


class OpenRun:
    """Documents, their IDs and the model that gives them: what `load`, `fit` and `teach` return.

    It lies in a folder, or in memory: then its folder is a temporary one that goes with the object.
    """

    _run: Run | None = None
    _temporary: TemporaryRun | None = None  # where it lies in memory
    _indexer: Indexer | None = None  # this and what follows: from the first use on
    _ids: IdTable | None = None
    _retriever: Retriever | None = None

    @classmethod
    def at(cls, path: Path, temporary: TemporaryRun | None = None, retriever: Retriever | None = None) -> "OpenRun":
        """The finished run at `path`, which is kept by `temporary`. Raises InputError when it is none."""
        run = OpenRun()
        run._take(path, temporary)
        run._retriever = retriever
        return run

    def _take(self, path: Path, temporary: TemporaryRun | None = None, indexer: Indexer | None = None) -> None:
        """Be the run at `path`, as it is now."""
        self._run, self._temporary, self._indexer = Run.open(path), temporary, indexer
        self._ids = self._retriever = None

    @property
    def _open(self) -> Run:
        if self._run is None:
            raise InputError(NOT_LEARNED)
        return self._run

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._open.path

    @property
    def config(self) -> LearnConfig:
        """The settings that it was learned with."""
        return self._open.config

    @property
    def ids(self) -> IdTable:
        """The ID of every document: `ids["4711"]`, `ids.to_pandas()`."""
        if self._ids is None:
            self._ids = load_ids(self._open)
        return self._ids

    @property
    def name(self) -> str:
        """Of the method that answers, in tables."""
        return method_for(self.path)

    def corpus(self) -> Corpus:
        """The documents."""
        return load_documents(self._open)

    def lookup(self, codes: Sequence[int]) -> list[Document]:
        """The documents whose IDs begin with these codes: one, where they are a whole ID."""
        corpus, ids = documents_and_ids(self._open)
        return [corpus[row] for row in ids.rows_below(list(codes)).tolist()]

    def report(self) -> Report:
        """How good the IDs are."""
        return Report(report_of(self._open))

    def explore(self, out: str | Path) -> Path:
        """Write the page that walks through the ID tree; returns its path."""
        from lmindexer.explore.page import Shown, write_page

        corpus, ids = documents_and_ids(self._open)
        page = Path(out)
        page.parent.mkdir(parents=True, exist_ok=True)
        name = self.path.resolve().name if self._temporary is None else page.stem
        write_page(page, [Shown(name, ids, corpus.texts(), corpus.labels)])
        return page

    def index(self, documents: object, *, vectors: Source | None = None, progress: Progress | None = None) -> IdTable:
        """The IDs of documents, in their order, without adding them; those that it has keep theirs.

        They are a `Corpus`, or what `Corpus.of` takes, with the columns that the run was learned from.
        Where it was learned from `vectors`, new documents bring theirs.
        """
        if self._indexer is None:
            self._indexer = load_indexer(self.path)
        return self._indexer.index(self._read(documents), vectors=vectors, progress=progress)

    def add(
        self, documents: object, *, vectors: Source | None = None, progress: Progress | None = None
    ) -> tuple[str, ...]:
        """Add documents, given as to `index`, without learning again; returns the ids of those that are new.

        Raises InputError when one that is there comes with another text.
        """
        added = add_documents(self.path, self._read(documents), vectors=vectors, progress=progress)
        self._take(self.path, self._temporary)
        return added.doc_ids

    def remove(self, doc_ids: Iterable[DocId], *, progress: Progress | None = None) -> None:
        """Take documents out; the others keep their IDs. Raises InputError for one that is not there."""
        remove_documents(self.path, doc_ids, progress=progress)
        self._take(self.path, self._temporary)

    def teach(
        self,
        *,
        queries: QueryData | str | Path | None = None,
        histories: HistoryData | None = None,
        dev: QueryData | None = None,
        test: QueryData | None = None,
        qrels: str | Path | None = None,
        pseudo: Sequence[str | Path] = (),
        sources: Sequence[str] = (),
        keep_going: bool = False,
        out: str | Path | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        **settings: Any,
    ) -> "OpenRun":
        """A new run that was taught to search from `queries`, or to recommend from `histories`; this one stays.

        Queries are {text: ids}, {text: {id: grade}}, `Queries`, or files with their splits. Histories are {user: ids},
        a list of lists of ids, `Histories`, or a file; of each user the last item is kept for the test, the last but
        one for dev. All else is as `teaching.fine_tuning.finetune` says, `settings` are those of `FinetuneConfig`. With
        `out` the new run lies in that folder, else in memory.
        """
        from lmindexer.teaching.fine_tuning import finetune

        if resume and out is None:
            raise InputError("resume goes on with what was begun in a folder; name it with out=")
        folder, temporary = place_of(out)
        retriever = finetune(
            self.path, folder, sequences=histories, queries=queries, dev=dev, test=test, qrels=qrels, pseudo=pseudo,
            sources=sources, keep_going=keep_going, resume=resume, progress=progress, **settings,
        )  # fmt: skip
        if self._temporary is not None:
            with writing(folder):
                Run.open(folder).update(indexed_by=IN_MEMORY)
        return OpenRun.at(folder, temporary, retriever)

    def pseudo(self, ways: Sequence[str] = (), *, out: str | Path | None = None, **how: Any) -> list[PseudoQuery]:
        """Queries made for the documents, as `teaching.pseudo.make_pseudo_queries` says; `teach(pseudo=[out])` takes
        the file `out`.
        """
        from lmindexer.teaching.pseudo import make_pseudo_queries

        if out is not None:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
        return make_pseudo_queries(self.path, out, ways=ways, **how)

    def train_writer(self, model: str | Path, out: str | Path, *, queries: QueryData | str | Path, **how: Any) -> Path:
        """A model that learned to write `queries` for the documents, in the folder `out`, which `pseudo(model=...)`
        takes; all else is as `teaching.writer.train_writer` says.
        """
        from lmindexer.teaching.writer import train_writer

        train_writer(self.path, model, out, queries=queries, **how)
        return Path(out)

    def method(
        self, name: str = "", *, kind: str = "", histories: HistoryData | None = None, **options: Any
    ) -> Retriever:
        """A method of `methods.registry` over the documents, ready to be asked: bm25, dense, popular, hybrid, ...

        Without a name it is the one that the run was taught, else generative. `options` say how it is asked, such as
        `beams`. It answers the `kind` of questions, "text" or "history", that the run was taught, unless another is
        named. `histories` are what popular counts, where the run was taught none.
        """
        sequences = None if histories is None else load_sequences(histories, self.corpus().doc_ids)
        return method_of(name or self.name).open(self.path, kind, sequences=sequences, **options)

    @property
    def usual(self) -> Retriever:
        """The method that answers where none is named: the one that was taught, else generated IDs."""
        if self._retriever is None:
            self._retriever = self.method()
        return self._retriever

    def answer(
        self, questions: Sequence[str | Sequence[DocId]], k: int = 10, *, only: Iterable[DocId] | None = None
    ) -> list[list[Hit]]:
        """The best k documents for each text or history, by the `usual` method, as `Retriever.answer` says."""
        return self.usual.answer(questions, k, only=only)

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[DocId] | None = None) -> list[list[Hit]]:
        """`answer` of texts."""
        return self.usual.search(texts, k, only=only)

    def recommend(
        self, histories: Sequence[Sequence[DocId]], k: int = 10, *, only: Iterable[DocId] | None = None
    ) -> list[list[Hit]]:
        """`answer` of histories: the ids of what each user took, oldest first."""
        return self.usual.recommend(histories, k, only=only)

    def questions(self, split: str = "test") -> Questions:
        """Of what it was taught, the dev or test questions and their answers. Raises InputError where it was not."""
        run, doc_ids = self._open, self.corpus().doc_ids
        if run.has(SEQUENCES):
            return asked_of(load_taught(run.file(SEQUENCES), doc_ids), split, doc_ids)
        if run.has(QUERIES):
            return Queries.read(run.file(QUERIES), split_name(split), documents=doc_ids).questions
        raise InputError(f"{self._place} was not taught any task, so it keeps no questions; give some to evaluate")

    @property
    def taught_queries(self) -> Queries | None:
        """The queries that it learned from; None where it was not taught by any."""
        if not self._open.has(QUERIES):
            return None
        path = self._open.file(QUERIES)
        return Queries.read(path, "train") if "train" in splits_of(path, None) else None

    def check(self) -> list[str]:
        """What is wrong with its folder; an empty list where it is whole."""
        return [fault.what for fault in check_run(self.path)]

    def save(self, out: str | Path) -> Path:
        """Write all of it to the run folder `out`, which every verb of the command line and `load` open.

        Raises InputError where something stands there.
        """
        copy_run(self._open, Path(out), lasts=self._temporary is None)
        return Path(out)

    @property
    def _place(self) -> str:
        return IN_MEMORY if self._temporary is not None else str(self.path)

    def _read(self, documents: object) -> Corpus:
        if isinstance(documents, Corpus):
            return documents
        return Corpus.of(documents, like=columns_of(self._open), textless=self.config.given_vectors)

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self._run is None:
            return f"{kind}(not learned yet)"
        documents, sizes = self._run.facts["corpus"]["documents"], self._run.facts.get("sizes", ())
        codes = f"IDs of {' x '.join(map(str, sizes))} codes" if sizes else "no IDs"
        taught = f", taught to {read_config(self.path).task}" if is_finetuned(self.path) else ""
        return f"{kind}({documents:,} documents, {codes}{taught}; {self._place})"


def load(run: str | Path) -> OpenRun:
    """The run in a folder, whichever verb made it. Raises InputError when it is none, or not finished."""
    return OpenRun.at(Path(run))
