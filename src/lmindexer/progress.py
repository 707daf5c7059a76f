"""What a user sees of long work: one live line on a terminal, one line an epoch or half a minute everywhere else."""

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Literal, TextIO

from lmindexer.errors import LONGEST, shortened

REDRAWN = 0.1  # seconds between two states of the live line
REPEATED = 30.0  # seconds between two lines of one epoch, off a terminal


class Progress:
    """Stages, epochs and their numbers, told to a stream (by default standard error, as it is then); None: silent.

    Warnings and notes go to the stream `warnings`, where that is another one.
    """

    def __init__(self, stream: TextIO | Literal["stderr"] | None = "stderr", warnings: TextIO | None = None) -> None:
        self.stream = sys.stderr if isinstance(stream, str) else stream
        self._warnings = warnings or self.stream
        self.live = self.stream is not None and self.stream.isatty() and not _is_notebook(self.stream)
        self._began = time.monotonic()
        self._drawn = self._said = self._began

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.stream is not None:
            self.clear()
            print(shortened(text, LONGEST), file=self.stream, flush=True)
        self._said = time.monotonic()

    def warn(self, *warnings: str) -> None:
        """Lines that a user has to see, also one who asked for quiet."""
        self._always("warning", warnings)

    def note(self, *notes: str) -> None:
        """Lines that a user has to know, also one who asked for quiet; no reason to worry."""
        self._always("note", notes)

    def _always(self, kind: str, lines: Iterable[str]) -> None:
        for text in lines if self._warnings is not None else ():
            self.clear()
            print(shortened(f"{kind}: {text}", LONGEST), file=self._warnings, flush=True)

    def doing(self, text: str) -> None:
        """What is done now: on a terminal a line that the next one takes the place of, elsewhere nothing."""
        if self.live:
            self._draw(f"{text} ...")

    def at(self, stage: str, epoch: int, epochs: int, share: float) -> None:
        """The live line; off a terminal a line that stays, where half a minute nothing else was said."""
        now = time.monotonic()
        if self.live and now - self._drawn >= REDRAWN:
            self._drawn = now
            done = (epoch + share) / epochs
            bar = "━" * int(20 * done) + "─" * (20 - int(20 * done))
            self._draw(f"{self._clock()}  {stage}  {bar}  {_place(epoch, epochs, share)}")
        elif not self.live and share < 1 and now - self._said >= REPEATED:
            self.say(f"{self._clock()}  {stage}  {_place(epoch, epochs, share)}")

    def count(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """`asking dense  1,200/22,363 users`: the live line of work without epochs; a line that stays when all is done.

        Off a terminal also where half a minute nothing else was said. `total` is None where nobody knows it.
        """
        of_all = "" if total is None else f"/{total:,}"
        now, line = time.monotonic(), f"{self._clock()}  {stage}  {done:,}{of_all} {unit}"
        if (total is not None and done >= total) or (not self.live and now - self._said >= REPEATED):
            self.say(line)
        elif self.live and now - self._drawn >= REDRAWN:
            self._drawn = now
            self._draw(line)

    def epoch(self, stage: str, epoch: int, epochs: int, numbers: Mapping[str, float]) -> None:
        shown = "  ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        self.say(f"{self._clock()}  {stage}  {epoch}/{epochs}  {shown}")

    def clear(self) -> None:
        """Take the live line away, before something else is printed."""
        if self.live and self.stream is not None:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()

    def _draw(self, line: str) -> None:
        self.clear()
        if self.stream is not None:
            self.stream.write(line)
            self.stream.flush()

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60:3d}:{seconds % 60:02d}"


def _is_notebook(stream: TextIO) -> bool:
    """Whether a stream is a cell of a notebook: it may call itself a terminal, but keeps every state of a live line."""
    return type(stream).__module__.startswith("ipykernel.")


def _place(epoch: int, epochs: int, share: float) -> str:
    return f"{share:.0%}" if epochs == 1 else f"epoch {epoch + 1}/{epochs}, {share:.0%}"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
