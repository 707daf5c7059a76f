"""Odd input of every kind: what `make fuzz` does ten thousand times, a few times; and that it notices what is wrong."""

import io
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import campaign, judging
from fuzz.campaign import Finding, Input, judged, tell
from fuzz.cases import KINDS, Case, bring, lay_out
from fuzz.home import make_runs
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable

SEED = 26


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "home"
    make_runs(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_is_answered_or_refused_in_a_sentence(kind: str, home: Path, tmp_path: Path):
    found = [judged(Input(n, kind), SEED, home, tmp_path / "case") for n in range(3 + int(4 * KINDS[kind][0]))]
    assert [(each.input.number, each.what, each.command, each.fault) for each in found if each.fault] == []


def faults(kind: str, home: Path, folder: Path, count: int = 30) -> set[str]:
    """First lines of what is found among some inputs."""
    found = (judged(Input(n, kind), SEED, home, folder / "case") for n in range(count))
    return {each.fault.splitlines()[0] for each in found if each.fault}


def test_a_trace_is_noticed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(path: Path) -> None:
        raise ValueError("what nobody expected")

    monkeypatch.setattr("lmindexer.cli.ids.lines_of", broken)
    assert faults("id list", home, tmp_path) == {"ValueError: what nobody expected"}


def test_a_record_that_is_lost_without_a_word_is_noticed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = IdTable.jsonl_lines

    def all_but_one(table: IdTable) -> Iterator[str]:
        lines = list(whole(table))
        yield from lines[1:]

    monkeypatch.setattr(IdTable, "jsonl_lines", all_but_one)
    assert any("skipped" in fault and "records, but" in fault for fault in faults("catalogue", home, tmp_path))


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("check", "check says that a changed run is whole"),
        ("export", "another answer than the whole run's, without a word"),
    ],
)
def test_a_changed_run_that_answers_all_the_same_is_noticed(
    command: str, fault: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "case"
    lay_out(home, folder)
    bring(home, folder, "kmeans")
    shutil.copyfile(home / "random" / "ids.parquet", folder / "run" / "ids.parquet")
    case = Case([command, "run"], whole="kmeans")
    first, code = judging.fault_of(case, home, folder)
    assert (first, code) == ("", 1 if command == "check" else 2), "as it is, the change is told"
    monkeypatch.setattr("lmindexer.runs.folder.fault_of", lambda path, entry: "")
    assert judging.fault_of(case, home, folder)[0] == fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (InputError("no"), "no sentence: 'lmindexer: no'"),
        (KeyError("id"), "KeyError: 'id'"),
        (SystemExit(3), "exit code 3"),
    ],
)
def test_what_is_no_sentence_is_noticed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, fault: str
):
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("lmindexer.evaluation.sheet.score_sheets", fail)
    assert faults("sheet", home, tmp_path, 3) == {fault}


def test_what_a_refused_command_has_changed_is_noticed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **how: object) -> None:
        Path("ids.txt").write_text("half")
        raise InputError("there is nothing to be scored here; name a sheet")

    monkeypatch.setattr("lmindexer.evaluation.sheet.score_sheets", fail)
    assert faults("sheet", home, tmp_path, 3) == {"refused, and yet changed ids.txt"}


def test_who_hangs_or_dies_is_a_finding_and_the_next_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def judge(given: Input, *rest: object) -> Finding:
        while given.number == 1:
            pass
        if given.number == 3:
            signal.raise_signal(signal.SIGKILL)
        return Finding(given, ["search"], "", "", 0)

    monkeypatch.setattr(campaign, "SECONDS", 1)
    given = [Input(n, "run") for n in range(5)]
    found = list(campaign.campaign(given, SEED, tmp_path, judge))
    assert [each.input for each in found] == given
    assert [each.fault for each in found] == ["", "a hang of 1 s of computing", "", "the process died of SIGKILL", ""]
    told = io.StringIO()
    assert tell(found, len(given), SEED, None, tmp_path, told) == 2
    assert "5 of 5 inputs, 2 findings of 2 kinds" in told.getvalue()


def test_a_whole_command_is_no_finding(home: Path, tmp_path: Path):
    folder = tmp_path / "case"
    lay_out(home, folder)
    assert judging.fault_of(Case(["score", "sheet.csv", "--key", "sheet.key.json"]), home, folder) == ("", 0)
