"""What a user sees of long work, at a terminal and in a pipe."""

import io
from types import SimpleNamespace

import pytest

from lmindexer import progress as module
from lmindexer.errors import LONGEST
from lmindexer.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until a test moves it."""
    hand = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: hand.now))
    return hand


def shown(stream: io.StringIO) -> list[str]:
    """What stands on the terminal's last line after each time it was cleared."""
    return stream.getvalue().split("\r\x1b[2K")[1:]


def test_in_a_pipe_long_work_says_a_line_each_half_minute(clock: SimpleNamespace):
    stream = io.StringIO()
    progress = Progress(stream)
    for second in range(1, 100):
        clock.now = 100.0 + second
        progress.at("encoding documents", 0, 1, second / 100)
    lines = ["  0:30  encoding documents  30%", "  1:00  encoding documents  60%", "  1:30  encoding documents  90%"]
    assert stream.getvalue().splitlines() == lines


def test_a_line_is_short_whatever_it_quotes():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.say("reading " + "x" * 5000)
    progress.warn("y" * 5000)
    assert [len(line) for line in stream.getvalue().splitlines()] == [LONGEST, LONGEST]


def test_in_a_pipe_what_is_said_anyway_is_enough(clock: SimpleNamespace):
    stream = io.StringIO()
    progress = Progress(stream)
    for second in range(1, 100):
        clock.now = 100.0 + second
        progress.at("training", second // 20, 5, 0.5)
        if second % 20 == 19:
            progress.epoch("training", second // 20 + 1, 5, {"loss": 1.0})
    assert [line.split("  ")[-2] for line in stream.getvalue().splitlines()] == [f"{n}/5" for n in range(1, 6)]


def test_at_a_terminal_one_line_is_drawn_over_and_over(clock: SimpleNamespace):
    stream = Terminal()
    progress = Progress(stream)
    progress.doing("reading")
    for second in (1, 2, 3):
        clock.now = 100.0 + second
        progress.at("training", 1, 4, second / 4)
    progress.say("done")
    assert shown(stream)[0] == "reading ..."
    assert [line.split("  ")[-1] for line in shown(stream)[1:4]] == [f"epoch 2/4, {share}%" for share in (25, 50, 75)]
    assert shown(stream)[-1] == "done\n"
    assert stream.getvalue().count("\n") == 1


def test_the_live_line_is_not_drawn_faster_than_one_can_see(clock: SimpleNamespace):
    stream = Terminal()
    progress = Progress(stream)
    for step in range(1, 1001):
        clock.now = 100.0 + step / 1000
        progress.at("training", 0, 1, step / 1000)
    assert 5 <= len(shown(stream)) <= 10


def test_quiet_work_still_warns(clock: SimpleNamespace):
    warnings = io.StringIO()
    progress = Progress(None, warnings=warnings)
    progress.say("reading")
    progress.doing("reading")
    progress.epoch("training", 1, 2, {"loss": 1.0})
    clock.now += 1000
    progress.at("training", 1, 2, 0.5)
    progress.warn("no groups")
    assert warnings.getvalue() == "warning: no groups\n"


def test_silence_is_silence():
    Progress(None).warn("nobody hears it")


class Cell(Terminal):
    """What a kernel of a notebook has for standard error."""


Cell.__module__ = "ipykernel.iostream"


def test_a_notebook_has_no_live_line_and_few_others(clock: SimpleNamespace):
    stream = Cell()
    progress = Progress(stream)
    for step in range(10_000):
        clock.now += 0.01
        progress.at("learning", 0, 1, step / 10_000)
        progress.doing("embedding")
    assert len(stream.getvalue().splitlines()) == 3
    assert "\r" not in stream.getvalue()


def test_standard_error_is_the_one_of_the_moment(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr(module.sys, "stderr", stream)
    Progress().say("here")
    assert stream.getvalue() == "here\n"
