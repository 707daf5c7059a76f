"""Questions that wait are answered together, and callers take turns."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lmindexer.serving.batching import Batcher
from lmindexer.serving.limits import BusyError


class Worker:
    """Answers a question by itself twice; the first call waits until it may go on."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def answer(self, group: str, questions: list[str]) -> list[str]:
        self.calls.append(questions)
        self.begun.set()
        self.goes_on.wait()
        if "bad" in questions:
            raise ValueError("bad")
        return [f"{group} {question} {question}" for question in questions]


def with_batcher(act: Callable[[Batcher, Worker], Coroutine[Any, Any, None]], **settings: Any) -> Worker:
    """What a batcher asked of its worker while `act` ran."""
    worker = Worker()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(worker.answer, pool, **({"waiting": 100} | settings))
            running = asyncio.create_task(batcher.run())
            await act(batcher, worker)
            running.cancel()

    asyncio.run(main())
    return worker


async def begun(batcher: Batcher, worker: Worker) -> asyncio.Task:
    """A first question that is being answered."""
    first = asyncio.create_task(batcher.ask("g", ["first"]))
    while not worker.begun.is_set():
        await asyncio.sleep(0)
    return first


async def waiting(batcher: Batcher, *askers: tuple[str, list[str]]) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(batcher.ask(group, questions)) for group, questions in askers]
    await asyncio.sleep(0)
    return tasks


def test_what_waits_is_answered_in_one_call_a_group():
    async def act(batcher: Batcher, worker: Worker) -> None:
        first = await begun(batcher, worker)
        tasks = await waiting(batcher, ("g", ["a", "b"]), ("other", ["c"]), ("g", ["d"]))
        worker.goes_on.set()
        assert await first == ["g first first"]
        assert [await task for task in tasks] == [["g a a", "g b b"], ["other c c"], ["g d d"]]

    assert with_batcher(act).calls == [["first"], ["a", "d", "b"], ["c"]]


def test_a_long_list_does_not_hold_up_a_lone_question():
    async def act(batcher: Batcher, worker: Worker) -> None:
        first = await begun(batcher, worker)
        long, lone = await waiting(batcher, ("g", [f"q{n}" for n in range(9)]), ("g", ["lone"]))
        worker.goes_on.set()
        assert await lone == ["g lone lone"]
        assert not long.done()
        assert await long == [f"g q{n} q{n}" for n in range(9)]
        await first

    calls = with_batcher(act, most=4).calls
    assert calls[1] == ["q0", "lone", "q1", "q2"]
    assert [len(call) for call in calls] == [1, 4, 4, 2]


def test_one_that_fails_spoils_no_other():
    async def act(batcher: Batcher, worker: Worker) -> None:
        first = await begun(batcher, worker)
        good, bad, other = await waiting(batcher, ("g", ["a"]), ("g", ["bad"]), ("g", ["b"]))
        worker.goes_on.set()
        assert await good == ["g a a"]
        assert await other == ["g b b"]
        with pytest.raises(ValueError, match="bad"):
            await bad
        assert await batcher.ask("g", ["later"]) == ["g later later"]
        await first

    with_batcher(act)


def test_only_so_many_may_wait():
    async def act(batcher: Batcher, worker: Worker) -> None:
        first = await begun(batcher, worker)
        (task,) = await waiting(batcher, ("g", ["a", "b"]))
        with pytest.raises(BusyError, match="2 questions wait already"):
            await batcher.ask("g", ["c", "d"])
        worker.goes_on.set()
        await asyncio.gather(first, task)
        assert await batcher.ask("g", []) == []

    with_batcher(act, waiting=3)
