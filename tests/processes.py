"""The command line in several processes at once, with the environment that torchrun gives them."""

import os
import socket
import subprocess
import sys

from command_line import Answer


def in_processes(count: int, *command: object) -> Answer:
    """What the first of `count` processes answers to one command; the others say nothing and end alike."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "lmindexer", *map(str, command)],
            env=os.environ | address | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(count)
    ]  # fmt: skip
    said = [process.communicate() for process in started]
    answers = [Answer(process.returncode, *texts) for process, texts in zip(started, said, strict=True)]
    assert len({answer.code for answer in answers}) == 1, answers
    assert not any(answer.out for answer in answers[1:]), answers
    return answers[0]
