"""Loaded by every Python that has this folder on its path: before each change of a folder's files it asks to go on.

STEP_BELOW is the folder; STEP_TELL and STEP_GO are descriptors of pipes to who started the process (../stepped.py).
"""

import os
import sys
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(below: Path, tell: int, go: int) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in CHANGES and not (event == "open" and int(arguments[2] or 0) & WRITES):  # type: ignore[call-overload]
            return
        if not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = Path(os.fsdecode(arguments[0])).absolute()
        if path.is_relative_to(below):
            os.write(tell, f"{event} {path}\n".encode())
            os.read(go, 1)  # nothing, and at once, where nobody is there to say so

    sys.addaudithook(hook)


if "STEP_BELOW" in os.environ:
    watch(Path(os.environ.pop("STEP_BELOW")).absolute(), int(os.environ["STEP_TELL"]), int(os.environ["STEP_GO"]))
