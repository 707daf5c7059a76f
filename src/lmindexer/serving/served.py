"""A run that is served: its present snapshot, and how the next one takes its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import Added, add_documents, remove_documents
from lmindexer.methods.registry import method_for
from lmindexer.runs.versions import folder_of, is_store
from lmindexer.serving.snapshot import Snapshot, open_snapshot


class Served:
    """`snapshot` is read by everybody; only one thread at a time calls what changes it."""

    def __init__(self, name: str, path: Path, method: str = "", how: dict[str, Any] | None = None) -> None:
        """`method` is by default the one that the run was taught, asked `how`. Raises InputError as opening it does."""
        self.name, self._path = name, path
        self._method, self._how = method, how or {}
        self._stamp = stamp_of(path)
        self.snapshot: Snapshot = self._opened(None)

    def refresh(self) -> bool:
        """Take a new snapshot where the run has changed; whether it had. Raises InputError where it cannot be read."""
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return False
        self.snapshot = self._opened(self.snapshot)
        self._stamp = stamp
        return True

    def _opened(self, before: Snapshot | None) -> Snapshot:
        folder, version = folder_of(self._path)
        return open_snapshot(self.name, folder, self._method or method_for(folder), self._how, before, version)

    def add(self, documents: Sequence[Document]) -> Added:
        """Add documents to the run, and serve them. Raises InputError as `add_documents` does."""
        self._check_may_change()
        added = add_documents(self._path, Corpus.from_documents(documents, keep_empty=True))
        self.refresh()
        return added

    def remove(self, doc_id: str) -> None:
        """Take a document out of the run, and out of what is served. Raises InputError as `remove_documents` does."""
        self._check_may_change()
        remove_documents(self._path, [doc_id])
        self.refresh()

    def _check_may_change(self) -> None:
        if is_store(self._path):
            raise InputError(
                f"{self.name} is a published version, which does not change; add to its run, and publish it"
            )


def stamp_of(path: Path) -> tuple[str, int, int, int]:
    """Another one whenever the run in a folder has changed, or another version of a store is current."""
    folder, version = folder_of(path)
    facts = (folder / "run.json").stat()
    return version, facts.st_ino, facts.st_mtime_ns, facts.st_size
