"""`python -m lmindexer` in a process of its own that stops before every change of a folder's files, to be let go on,
killed there, or looked at from outside: no moment is a matter of time."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOOK = Path(__file__).parent / "stepping"


@dataclass(frozen=True)
class Moment:
    """What is about to be done, such as os.rename of a temporary file."""

    event: str
    path: Path


class Stepped:
    """A command that runs up to its first moment and waits there; leave it by `with`."""

    def __init__(self, below: Path, *command: object) -> None:
        tell_from, tell = os.pipe()
        go_from, self._go = os.pipe()
        path = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
        stepping = {"STEP_BELOW": str(below), "STEP_TELL": str(tell), "STEP_GO": str(go_from)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lmindexer", *map(str, command)],
            env=os.environ | stepping | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)},
            pass_fds=(tell, go_from), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(tell)
        os.close(go_from)
        self._told = open(tell_from, encoding="utf-8")  # noqa: PTH123, SIM115 - a descriptor

    def __enter__(self) -> "Stepped":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._told.close()
        os.close(self._go)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def next(self) -> Moment | None:
        """The moment at which it waits now; None where it has ended."""
        event, _, path = self._told.readline().rstrip("\n").partition(" ")
        return Moment(event, Path(path)) if event else None

    def go(self) -> None:
        """Let it do what it is about to do."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b"g")

    def moments(self) -> Iterator[Moment]:
        """Every moment to the end; it goes on when the next is asked for."""
        while (moment := self.next()) is not None:
            yield moment
            self.go()

    def until(self, event: str, name: str) -> None:
        """Go on up to the moment before `event` on a file whose name ends so."""
        while (moment := self.next()) is not None:
            if moment.event == event and moment.path.name.endswith(name):
                return
            self.go()
        raise AssertionError(f"it ended without {event} of {name}: {self.end()}")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self) -> tuple[int, str, str]:
        """Let it run to its end from wherever it waits: exit code and what it wrote, little enough for a pipe."""
        self.go()
        for _ in self.moments():
            pass
        out, err = self.process.communicate()
        return self.process.returncode, out, err
