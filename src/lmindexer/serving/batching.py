"""Questions that come together are answered in one call; of a long list only a few at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from lmindexer.serving.limits import BusyError

WAIT = 0.002  # seconds in which an idle service waits for others
MOST = 16  # questions of one call


@dataclass(eq=False)
class _Request:
    """The questions of one caller, all of one group."""

    group: Hashable
    questions: Sequence[Any]
    done: asyncio.Future
    begun: int = 0  # questions that were handed out
    answers: dict[int, Any] = field(default_factory=dict)


class Batcher:
    """Calls `answer(group, questions)` in `worker`, for questions of one group at a time.

    Callers take turns: each has one question in a call before any has two, so that a list of many does not hold up a
    lone one. At most `waiting` questions wait.
    """

    def __init__(
        self,
        answer: Callable[[Any, list[Any]], list[Any]],
        worker: Executor,
        *,
        waiting: int,
        seen: Callable[[int], None] = lambda size: None,
        wait: float = WAIT,
        most: int = MOST,
    ) -> None:
        """`seen` is given the size of every call."""
        self._answer, self._worker, self._seen = answer, worker, seen
        self._waiting, self._wait, self._most = waiting, wait, most
        self._requests: deque[_Request] = deque()
        self._arrived = asyncio.Event()

    async def ask(self, group: Hashable, questions: Sequence[Any]) -> list[Any]:
        """The answers to some questions, in their order. Raises what `answer` does, and BusyError."""
        waiting = sum(len(request.questions) - request.begun for request in self._requests)
        if waiting + len(questions) > self._waiting:
            raise BusyError(f"{waiting:,} questions wait already; try again in a second")
        request = _Request(group, questions, asyncio.get_running_loop().create_future())
        if not questions:
            return []
        self._requests.append(request)
        self._arrived.set()
        return await request.done

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            if not self._requests:
                self._arrived.clear()
                await self._arrived.wait()
                await asyncio.sleep(self._wait)
            batch = self._next()
            if batch:
                await self._call(batch)

    def _next(self) -> list[tuple[_Request, int]]:
        """The next questions to answer together: of the group that has waited longest, one of each request in turn."""
        self._requests = deque(request for request in self._requests if not request.done.done())
        if not self._requests:
            return []
        group = self._requests[0].group
        batch: list[tuple[_Request, int]] = []
        turns = deque(request for request in self._requests if request.group == group)
        while turns and len(batch) < self._most:
            request = turns.popleft()
            batch.append((request, request.begun))
            request.begun += 1
            if request.begun < len(request.questions):
                turns.append(request)
        behind = {request for request, _ in batch}
        waiting = [request for request in self._requests if request not in behind]
        self._requests = deque(waiting + [request for request in turns if request in behind])
        return batch

    async def _call(self, batch: list[tuple[_Request, int]]) -> None:
        """Answer a batch; where that fails, each question by itself, so that one spoils no other."""
        self._seen(len(batch))
        questions = [request.questions[at] for request, at in batch]
        try:
            answers = await self._in_worker(batch[0][0].group, questions)
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][0], error)
                return
            for one in batch:
                await self._call([one])
            return
        for (request, at), answer in zip(batch, answers, strict=True):
            request.answers[at] = answer
            if len(request.answers) == len(request.questions) and not request.done.done():
                request.done.set_result([request.answers[n] for n in range(len(request.questions))])

    async def _in_worker(self, group: Any, questions: list[Any]) -> list[Any]:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._answer, group, questions)


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)
