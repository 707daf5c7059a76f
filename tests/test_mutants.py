"""tests/mutants.py: a change that no test notices is told, and so is a list that no longer fits the code."""

import hashlib
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

import mutants

ROOT = Path(__file__).parent.parent
CODE = "def add(a: int, b: int) -> int:\n    return a + b\n\n\ndef double(a: int) -> int:\n    return 2 * a\n"
TEST = "from lmindexer.sums import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n"


def mutant(**changes: str) -> str:
    fields = {"name": "minus", "file": "sums.py", "old": "a + b", "new": "a - b"} | changes
    tests = fields.pop("tests", "test_sums.py::test_add")
    return "[[mutant]]\n" + "".join(f"{k} = '{v}'\n" for k, v in fields.items()) + f"tests = ['{tests}']\n"


def tree(folder: Path, *listed: str, test: str = TEST) -> Path:
    """A package of two functions, with a test of one of them."""
    (folder / "src" / "lmindexer").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "src" / "lmindexer" / "__init__.py").write_text("")
    (folder / "src" / "lmindexer" / "sums.py").write_text(CODE)
    (folder / "tests" / "test_sums.py").write_text(test)
    (folder / "tests" / "mutants.toml").write_text("\n".join(listed))
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return folder


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "SLOW_TO_IMPORT", ("pytest",))


def test_a_change_that_a_test_notices_is_killed_and_another_survives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    listed = [mutant(), mutant(name="times", new="a * b"), mutant(name="three", old="2 * a", new="3 * a")]
    before = digest(tree(tmp_path, *listed))
    assert mutants.main([], tmp_path) == 1
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {words[-1]: words[0] for words in told[1:-1]} == {
        "minus": "killed",
        "times": "SURVIVED",
        "three": "SURVIVED",
    }
    assert told[-1] == ["3", "mutants,", "2", "survived"]
    assert mutants.main(["--only", "minus"], tmp_path) == 0
    assert digest(tmp_path) == before, "the working tree is as it was"


def test_a_share_of_them_is_another_each_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    tree(tmp_path, mutant(), mutant(name="times", new="a * b + a"), mutant(name="three", new="a * 3 + b"))
    tried = []
    for day in (1, 2):
        monkeypatch.setattr(mutants, "date", SimpleNamespace(today=lambda day=day: date(2026, 11, day)))
        assert mutants.main(["--share", "2"], tmp_path) == 0
        tried += [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("killed")]
    assert sorted(tried) == ["minus", "three", "times"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"old": "a / b"}, "holds 'a / b' 0 times"),
        ({"old": "a"}, r"holds 'a' \d+ times"),
        ({"file": "gone.py"}, "there is no src/lmindexer/gone.py"),
        ({"tests": "test_sums.py::test_gone"}, "there is no test test_sums.py::test_gone"),
        ({"new": "a +"}, "ERROR: pytest ended with [24]"),
        ({"new": "a + c"}, "ERROR: it does not run(.|\n)*NameError: name 'c'"),
    ],
)
def test_a_list_that_does_not_fit_the_code_is_an_error(
    tmp_path: Path, changes: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
):
    assert mutants.main([], tree(tmp_path, mutant(**changes))) == 2
    assert re.search(told, capsys.readouterr().out)


def test_tests_that_fail_without_any_mutant_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert mutants.main([], tree(tmp_path, mutant(), test=TEST.replace("== 4", "== 5"))) == 2
    assert "these must pass first" in capsys.readouterr().out


def test_the_list_fits_the_code_and_names_tests_that_are_there():
    listed = mutants.read_mutants(ROOT / "tests" / "mutants.toml")
    assert len(listed) >= 30
    assert [f"{each.name}: {fault}" for each in listed if (fault := each.fault(ROOT))] == []
