"""Documents come and go without learning again: a run folder's IDs and documents, changed together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError, check_list
from lmindexer.ids.table import IdTable
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.store import load_documents, save_ids
from lmindexer.progress import Progress
from lmindexer.runs import Run


@dataclass(frozen=True)
class Added:
    """What `add_documents` did."""

    ids: IdTable  # of the new documents, in their order
    known: int  # documents of the corpus that the run had already, with the same text


def add_documents(run: Path, corpus: Corpus, *, progress: Progress | None = None) -> Added:
    """Give the new documents of `corpus` IDs from the run's model, unique at once, and keep both in the run.

    No other document's ID changes. Raises InputError, and changes nothing, when a document of the run comes
    with another text: remove it first.
    """
    indexer = load_indexer(run)
    assert indexer.run is not None
    assert indexer.ids is not None
    old = indexer.corpus()
    new = []
    for row, document in enumerate(corpus):
        if document.id not in indexer.ids:
            new.append(row)
        elif old[old.row_of[document.id]].text != document.text:
            raise InputError(
                f"{document.id!r} is in {run} with another text; to change it: lmindexer remove {run} {document.id}, "
                "then add it again"
            )
    if not new:
        return Added(indexer.ids.select([]), len(corpus))
    ids = indexer.index(Corpus.from_documents((corpus[row] for row in new), keep_empty=True), progress=progress)
    table = indexer.ids.add(ids.doc_ids, ids.codes)
    _keep(indexer.run, table, Corpus.from_documents(chain(old, (corpus[row] for row in new)), keep_empty=True))
    return Added(ids, len(corpus) - len(new))


def remove_documents(run: Path, doc_ids: Iterable[str]) -> None:
    """Take documents out of a run; the others keep their IDs.

    Raises InputError, and changes nothing, when one of them is not there or none would be left.
    """
    check_list(doc_ids, "the documents to remove")
    opened = Run.open(run)
    leaving = set(doc_ids)
    ids = IdTable.load(run / "ids.parquet").remove(leaving)
    if not len(ids):
        raise InputError(f"{run} would have no documents left; delete the folder instead")
    stays = (document for document in load_documents(opened) if document.id not in leaving)
    _keep(opened, ids, Corpus.from_documents(stays, keep_empty=True))


def _keep(run: Run, ids: IdTable, corpus: Corpus) -> None:
    """Both files, and in run.json what corpus they are; the report is of the documents that were learned."""
    save_ids(run, ids, corpus)
    of_corpus = {"documents": len(corpus), "fingerprint": corpus.fingerprint}
    run.write_json("run.json", run.facts | {"corpus": of_corpus, "changed_since_learned": True})
    for stale in ("report.md", "explore.html"):
        (run.path / stale).unlink(missing_ok=True)
