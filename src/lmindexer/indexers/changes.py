"""Documents come and go without learning again: a run folder's IDs and documents, changed together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Source
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.kept_vectors import load_given
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.store import (
    check_agreement,
    documents_and_perhaps_ids,
    keep,
    load_documents,
    vectors_of_new,
)
from lmindexer.progress import Progress
from lmindexer.runs import changing
from lmindexer.values import DocId, id_texts


@dataclass(frozen=True)
class Added:
    """What `add_documents` did."""

    doc_ids: tuple[str, ...]  # of the new documents, in their order
    ids: IdTable | None  # theirs; None of a run without IDs
    known: int  # documents of the corpus that the run had already, with the same text


def add_documents(
    run: Path, corpus: Corpus, *, vectors: Source | None = None, progress: Progress | None = None
) -> Added:
    """Give the new documents of `corpus` IDs from the run's model, unique at once, and keep both in the run.

    Where the run was learned from `vectors`, they bring theirs, which are kept, too. No other document's ID changes.
    Another process that changes the run is waited for.

    Raises:
        InputError: when a document of the run comes with another text (remove it first). Then nothing is changed.
    """
    with changing(run, progress) as change:
        indexer = load_indexer(run)
        old, ids = load_documents(change.run), indexer.ids
        if ids is not None:
            check_agreement(change.run, old, ids)
        new = []
        for row, document in enumerate(corpus):
            if document.id not in old.row_of:
                new.append(row)
            elif old[old.row_of[document.id]].text != document.text:
                raise InputError(
                    f"{document.id!r} is in {run} with another text; to change it: lmindexer remove {run} "
                    f"{document.id}, then add it again"
                )
        doc_ids = tuple(corpus.doc_ids[row] for row in new)
        known = len(corpus) - len(new)
        if not new:
            return Added((), None if ids is None else ids.select([]), known)
        others = Corpus.from_documents((corpus[row] for row in new), keep_empty=True)
        both = Corpus.from_documents(chain(old, others), keep_empty=True)
        given = vectors_of_new(change.run, corpus, new, vectors)
        if ids is None:
            keep(change, None, both)
            return Added(doc_ids, None, known)
        found = indexer.index(others, vectors=given, progress=progress)
        kept = None if given is None else np.concatenate([load_given(change.run, old), given.array])
        keep(change, ids.add(found.doc_ids, found.codes), both, kept)
        return Added(doc_ids, found, known)


def remove_documents(run: Path, doc_ids: Iterable[DocId], *, progress: Progress | None = None) -> None:
    """Take documents out of a run; the others keep their IDs. Another process that changes it is waited for.

    Raises:
        InputError: when one of them is not there or none would be left. Then nothing is changed.
    """
    leaving = set(id_texts(doc_ids, "the documents to remove"))
    with changing(run, progress) as change:
        corpus, ids = documents_and_perhaps_ids(change.run)
        if unknown := leaving - corpus.row_of.keys():
            raise InputError(f"{min(unknown)!r} cannot be removed: no document of {run} has that id")
        ids = ids and ids.remove(leaving)
        if len(corpus) == len(leaving):
            raise InputError(f"{run} would have no documents left; delete the folder instead")
        stays = Corpus.from_documents((d for d in corpus if d.id not in leaving), keep_empty=True)
        keep(change, ids, stays, load_given(change.run, stays) if change.run.config.given_vectors else None)
