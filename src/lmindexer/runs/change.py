"""A change of a run: new generations of its files, then one rename of run.json that names them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lmindexer.progress import Progress
from lmindexer.runs.contents import entry_of, generations, name_of_generation, newest_generation, present_names
from lmindexer.runs.folder import Run
from lmindexer.runs.lock import writing


class Change:
    """What `changing` hands out: `run` as it stands, and where its new files and facts go."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.facts: dict[str, Any] = {}  # to be changed in run.json
        self._written: dict[str, str] = {}  # name -> name of its new generation
        self._number = 1 + newest_generation(run.files)

    def path(self, name: str) -> Path:
        """Where to write the new `name`: a reader does not see it before the change is whole."""
        self._written[name] = name_of_generation(name, self._number)
        return self.run.path / self._written[name]

    def _commit(self) -> None:
        if not self._written and not self.facts:
            return
        before = self.run.files
        files = dict(before)
        for name, written in self._written.items():
            files[name] = entry_of(self.run.path / written) | {"as": written}
        self.run.update(files=files, **self.facts)  # the one rename
        kept = {*present_names(before).values(), *present_names(files).values()}
        for name in self._written:
            for path in generations(self.run.path, name):
                if path.name not in kept:
                    with suppress(OSError):  # the change is made; `check` tells of what could not be removed
                        path.unlink()

    def _discard(self) -> None:
        """Remove the new files, unless run.json names them already: then the change was made."""
        named = present_names(Run.open(self.run.path).files).values()
        for written in self._written.values():
            if written not in named:
                (self.run.path / written).unlink(missing_ok=True)


@contextmanager
def changing(path: Path, progress: Progress | None = None) -> Iterator[Change]:
    """Change a finished run: nothing of it is seen before the end, and nothing stays of it where it fails.

    The generation before stays on disk until the next change, for readers that have just opened the run.

    Raises:
        InputError: when there is no finished run, or another process goes on writing to it.
    """
    Run.open(path)  # what is wrong is told before a lock file is made
    with writing(path, progress=progress):
        change = Change(Run.open(path))
        try:
            yield change
            change._commit()
        except BaseException:
            change._discard()
            raise
        change.run.sweep()  # not before: a run.json that is not of this folder calls its newer files leftovers
