"""The live line of work without epochs: what is done of how much, and it is ended."""

import io

import pytest

from lmindexer import progress as module
from lmindexer.progress import Progress

CLEARED = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pass only where a test says so."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_how_many_and_keeps_the_last_line(clock: list[float]):
    screen = Terminal()
    progress = Progress(screen)
    clock[0] = 61.0
    progress.count("asking dense", 1200, 22363, "users")
    assert screen.getvalue() == f"{CLEARED}  1:01  asking dense  1,200/22,363 users"
    progress.count("asking dense", 1300, 22363, "users")  # at once: not drawn again
    assert screen.getvalue().endswith("1,200/22,363 users")
    progress.count("asking dense", 22363, 22363, "users")
    assert screen.getvalue().endswith(f"{CLEARED}  1:01  asking dense  22,363/22,363 users\n"), "the line is ended"


def test_a_pipe_gets_a_line_when_all_is_done_and_one_in_half_a_minute(clock: list[float]):
    pipe = io.StringIO()
    progress = Progress(pipe)
    for second in range(0, 61):
        clock[0] = float(second)
        progress.count("asking bm25", second, 60, "queries")
    assert pipe.getvalue().splitlines() == [
        "  0:30  asking bm25  30/60 queries",
        "  1:00  asking bm25  60/60 queries",
    ]


def test_nothing_is_told_to_nobody():
    Progress(None).count("asking bm25", 1, 1, "queries")
