"""kill -9 at any moment, in a process of its own: `--resume` goes on, and the IDs are those of a whole run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import SMALL, write_items
from lmindexer.corpus.documents import Corpus

# (what the test waits for, whether it is there); one run is killed at all of these, one after another
MOMENTS: list[tuple[str, Callable[[Path], bool]]] = [
    ("the folder", Path.exists),
    ("the settings", lambda run: (run / "config.toml").exists()),
    ("the first checkpoint", lambda run: (run / "checkpoint.safetensors").exists()),
    *[(f"{n} epochs", lambda run, n=n: lines(run) >= n) for n in (1, 3, 4, 7, 10, 13)],
    ("the IDs", lambda run: (run / "ids.jsonl").exists()),
    ("the weights", lambda run: (run / "indexer.safetensors").exists()),
    ("the backbone", lambda run: (run / ".backbone").exists() or (run / "backbone").exists()),
    ("the report", lambda run: (run / "report.json").exists()),
    ("the curves", lambda run: (run / "curves.png").exists()),
]


def lines(run: Path) -> int:
    path = run / "log.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "encoder"), [("bert", "frozen"), ("t5", "full")])
def test_killed_at_any_moment_it_ends_the_same(
    backbone: str, encoder: str, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    items = write_items(corpus, tmp_path / "items.jsonl")
    learn = ["learn", items, *SMALL, "--epochs", 3, "--warmup-epochs", 2, "--encoder", encoder, "--batch-size", 8]
    learn += ["--backbone", checkpoints[backbone], "--checkpoint-seconds", 0, "--resume", "--out"]

    def start(out: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "lmindexer", *map(str, learn), str(out)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    whole = start(tmp_path / "whole")
    assert whole.wait() == 0
    run, killed = tmp_path / "run", 0
    for name, is_there in MOMENTS:
        process = start(run)
        while process.poll() is None and not is_there(run):
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        assert process.wait() in (0, -signal.SIGKILL), f"{name}: {process.stderr.read().decode()}"
    last = start(run)
    assert last.wait() == 0, last.stderr.read().decode()
    assert killed > len(MOMENTS) // 2
    assert (run / "ids.jsonl").read_bytes() == (tmp_path / "whole" / "ids.jsonl").read_bytes()
    assert {path.name for path in run.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
