"""Loaded by every Python that has this folder on its path: before each change of a folder's files it asks to go on.

STEP_BELOW is the folder; STEP_TELL and STEP_GO are descriptors of pipes to who started the process (../stepped.py).
"""

import os
import sys

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(below: str, tell: int, go: int) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in CHANGES and not (event == "open" and int(arguments[2] or 0) & WRITES):  # type: ignore[call-overload]
            return
        if not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path == below or path.startswith(below + os.sep):
            os.write(tell, f"{event} {path}\n".encode())
            os.read(go, 1)  # nothing, and at once, where nobody is there to say so

    sys.addaudithook(hook)


if "STEP_BELOW" in os.environ:
    watch(os.path.abspath(os.environ.pop("STEP_BELOW")), int(os.environ["STEP_TELL"]), int(os.environ["STEP_GO"]))
