"""The command line in several processes at once, as torchrun starts them: copies of the test's own, so they start fast."""

import multiprocessing
import os
import socket
from pathlib import Path

import torch

from command_line import Answer, lmindexer


def in_processes(count: int, *command: object) -> Answer:
    """What the first of `count` processes answers to one command; all must end well or all badly."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    started = [fork.Process(target=_one, args=(answers, rank, count, port, command)) for rank in range(count)]
    for process in started:
        process.start()
    found = dict(answers.get() for _ in started)
    for process in started:
        process.join()
    codes = {answer.code for answer in found.values()}
    assert len(codes) == 1, found
    assert not any(found[rank].out for rank in range(1, count)), found
    return found[0]


def _one(answers: "multiprocessing.SimpleQueue[tuple[int, Answer]]", rank: int, count: int, port: str, command: tuple[object, ...]) -> None:  # fmt: skip
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    answers.put((rank, lmindexer(*command)))


def ids_of(run: Path) -> str:
    return (run / "ids.jsonl").read_text()
