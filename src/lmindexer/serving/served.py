"""A run that is served: its present snapshot, and how the next one takes its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.indexers.changes import Added, add_documents, remove_documents
from lmindexer.methods.registry import method_for
from lmindexer.serving.snapshot import Snapshot, open_snapshot


class Served:
    """`snapshot` is read by everybody; only one thread at a time calls what changes it."""

    def __init__(self, name: str, path: Path, method: str = "", how: dict[str, Any] | None = None) -> None:
        """`method` is by default the one that the run was taught, asked `how`. Raises InputError as opening it does."""
        self.name, self._path = name, path
        self._method, self._how = method or method_for(path), how or {}
        self._stamp = stamp_of(path)
        self.snapshot: Snapshot = open_snapshot(name, path, self._method, self._how)

    def refresh(self) -> bool:
        """Take a new snapshot where the run has changed; whether it had. Raises InputError where it cannot be read."""
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return False
        self.snapshot = open_snapshot(self.name, self._path, self._method, self._how, self.snapshot)
        self._stamp = stamp
        return True

    def add(self, documents: Sequence[Document]) -> Added:
        """Add documents to the run, and serve them. Raises InputError as `add_documents` does."""
        added = add_documents(self._path, Corpus.from_documents(documents, keep_empty=True))
        self.refresh()
        return added

    def remove(self, doc_id: str) -> None:
        """Take a document out of the run, and out of what is served. Raises InputError as `remove_documents` does."""
        remove_documents(self._path, [doc_id])
        self.refresh()


def stamp_of(path: Path) -> tuple[int, ...]:
    """Another one whenever the run in a folder has changed."""
    facts = (path / "run.json").stat()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
