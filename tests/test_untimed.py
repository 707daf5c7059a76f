"""No test is timed: on a busy machine what is true takes longer, and stays true."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
FILES = sorted(path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name)
CLOCK = re.compile(r"mark\.timeout|\bdeadline=|perf_counter|process_time|\bru_[us]time|time\.time\(")


def test_hypothesis_gives_an_example_all_the_time_it_takes():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_nothing_kills_a_slow_test(pytestconfig: pytest.Config):
    assert "timeout" not in pytestconfig.inicfg


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_looks_at_the_clock(path: Path):
    assert CLOCK.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_who_suppresses_other_health_checks_suppresses_the_timed_one_too(path: Path):
    for checks in re.findall(r"suppress_health_check=\[(.*?)\]", path.read_text(encoding="utf-8"), re.DOTALL):
        assert "HealthCheck.too_slow" in checks
