"""What a user sees of long work: one live line on a terminal, one line an epoch everywhere else."""

import sys
import time
from collections.abc import Mapping
from typing import TextIO


class Progress:
    """Stages, epochs and their numbers, told to a stream (standard error by default); None: silent.

    Warnings go to the stream `warnings`, where that is another one.
    """

    def __init__(self, stream: TextIO | None = sys.stderr, warnings: TextIO | None = None) -> None:
        self.stream = stream
        self._warnings = warnings or stream
        self.live = bool(stream is not None and stream.isatty())
        self._began = time.monotonic()
        self._drawn = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.stream is not None:
            self._clear()
            print(text, file=self.stream, flush=True)

    def warn(self, text: str) -> None:
        """A line that a user has to see, also one who asked for quiet."""
        if self._warnings is not None:
            self._clear()
            print(f"warning: {text}", file=self._warnings, flush=True)

    def at(self, stage: str, epoch: int, epochs: int, share: float) -> None:
        """The live line; drawn at most ten times a second, and not at all off a terminal."""
        now = time.monotonic()
        if self.live and self.stream is not None and now - self._drawn > 0.1:
            self._drawn = now
            done = (epoch + share) / epochs
            bar = "━" * int(20 * done) + "─" * (20 - int(20 * done))
            self._clear()
            self.stream.write(f"{self._clock()}  {stage}  {bar}  epoch {epoch + 1}/{epochs}")
            self.stream.flush()

    def epoch(self, stage: str, epoch: int, epochs: int, numbers: Mapping[str, float]) -> None:
        told = "  ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        self.say(f"{self._clock()}  {stage}  {epoch}/{epochs}  {told}")

    def _clear(self) -> None:
        if self.live and self.stream is not None:
            self.stream.write("\r\x1b[2K")

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60:3d}:{seconds % 60:02d}"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
