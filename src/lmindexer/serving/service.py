"""The service behind the routes: which run is asked, in which thread, and how runs change while it answers."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from lmindexer.corpus.documents import Document
from lmindexer.errors import InputError, excerpt
from lmindexer.methods.retriever import WORDS_FOR
from lmindexer.serving.batching import Batcher
from lmindexer.serving.explaining import explain_by_model, explain_by_words
from lmindexer.serving.limits import BusyError, Limits
from lmindexer.serving.metrics import Metrics
from lmindexer.serving.served import Served
from lmindexer.serving.snapshot import Answer, Question, Snapshot

WATCHED = 0.5  # seconds between two looks at whether another process has changed a run
T = TypeVar("T")


@dataclass(frozen=True)
class _Group:
    """Questions that can be answered in one call."""

    snapshot: Snapshot
    kind: str
    only: tuple[str, ...] | None
    explain: bool


class Service:
    """Searches run in one thread, one batch at a time; changes, and explanations that read all texts, in others."""

    def __init__(self, runs: Sequence[Served], limits: Limits) -> None:
        self.runs = {served.name: served for served in runs}
        self.limits, self.metrics = limits, Metrics(runs)
        self._searching, self._changing, self._reading = (ThreadPoolExecutor(1) for _ in range(3))
        self._batcher = Batcher(_answer, self._searching, waiting=limits.waiting, seen=self.metrics.batch.observe)
        self._writes = 0
        self._reported = ""  # why a run could not be read again
        self.ready = False

    async def run(self) -> None:
        """Answer, and look for changes, until it is cancelled."""
        self.ready = True
        try:
            await asyncio.gather(self._batcher.run(), self._watch())
        finally:
            self.ready = False
            for pool in (self._searching, self._changing, self._reading):
                pool.shutdown(wait=False, cancel_futures=True)

    def snapshot(self, name: str = "", kind: str = "") -> Snapshot:
        """What is served now of a run; of the first that answers a kind of questions where none is named.

        Raises InputError for an unknown one, and where it, or none, answers them.
        """
        snapshots = [served.snapshot for served in self.runs.values()]
        if name:
            snapshots = [snapshot for snapshot in snapshots if snapshot.name == name]
            if not snapshots:
                raise InputError(f"there is no run {excerpt(name)}; choose one of {', '.join(self.runs)}")
        found = next((s for s in snapshots if not kind or kind in s.retriever.reads), None)
        if found is None:
            answers = f"{name} does not answer" if name else "no run that is served answers"
            raise InputError(f"{answers} {WORDS_FOR[kind]}; see what each reads in GET /runs")
        return found

    async def ask(
        self,
        snapshot: Snapshot,
        kind: str,
        questions: Sequence[Question],
        only: tuple[str, ...] | None,
        explain: bool,
    ) -> list[Answer]:
        """The answers of one snapshot, found together with what others ask of it."""
        answers: list[Answer] = await self._batcher.ask(_Group(snapshot, kind, only, explain), questions)
        self.metrics.answered(snapshot, answers)
        return answers

    async def explain(
        self, snapshot: Snapshot, kind: str, asked: str | tuple[str, ...], doc_id: str, k: int
    ) -> dict[str, Any]:
        """As `schemas.Explanation`."""
        by_model = self._in(self._searching, explain_by_model, snapshot, kind, asked, doc_id, k)
        by_words = self._in(self._reading, explain_by_words, snapshot, kind, asked, doc_id)
        return (await by_model) | (await by_words)

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """What takes a while and needs no model."""
        return await self._in(self._reading, function, *arguments)

    async def add(self, name: str, documents: Sequence[Document]) -> dict[str, Any]:
        """Add documents to a run, by default the first, and serve them."""
        served = self._served(name)
        added = await self._change(served.add, documents)
        return {"added": list(added.doc_ids), "known": added.known, "snapshot": served.snapshot.number}

    async def remove(self, name: str, doc_id: str) -> dict[str, Any]:
        """Take a document out of a run, and out of what is served."""
        served = self._served(name)
        await self._change(served.remove, doc_id)
        return {"removed": doc_id, "snapshot": served.snapshot.number}

    def _served(self, name: str) -> Served:
        return self.runs[self.snapshot(name).name]

    async def _change(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._writes >= self.limits.writes:
            raise BusyError(f"{self._writes} changes wait already; try again later")
        self._writes += 1
        try:
            return await self._in(self._changing, function, *arguments)
        finally:
            self._writes -= 1

    async def _watch(self) -> None:
        """Serve what other processes change; what cannot be read is told once, and what was read before stays."""
        while True:
            await asyncio.sleep(WATCHED)
            for served in self.runs.values():
                try:
                    await self._in(self._changing, served.refresh)
                except (InputError, OSError) as error:
                    self.metrics.failed.inc()
                    if str(error) != self._reported:
                        print(f"lmindexer: {served.name} stays as it was: {InputError(error)}", file=sys.stderr)
                    self._reported = str(error)

    async def _in(self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)


def _answer(group: _Group, questions: list[Question]) -> list[Answer]:
    return group.snapshot.answer(group.kind, questions, group.only, group.explain)
