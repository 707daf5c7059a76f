"""A run folder is changed by one rename and by one writer, and its files are the ones that were written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import entries
from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.runs import ReadOnlyError, Run, changing, writing

FACTS = {"corpus": {"documents": 1, "fingerprint": "f"}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run with two files that belong together."""
    run = Run.create(tmp_path / "run", LearnConfig(), FACTS)
    for name in ("ids.parquet", "documents.parquet"):
        (run.path / name).write_text("first")
    (run.path / "backbone").mkdir()
    (run.path / "backbone" / "config.json").write_text("{}")
    run.finish()
    return Run.open(run.path)


def contents(path: Path) -> tuple[str, str]:
    run = Run.open(path)
    ids, documents = (run.file(name).read_text() for name in ("ids.parquet", "documents.parquet"))
    return ids, documents


def change(path: Path, text: str) -> None:
    with changing(path) as new:
        for name in ("ids.parquet", "documents.parquet"):
            new.path(name).write_text(text)


def test_a_change_is_seen_whole_and_the_generation_before_stays_for_those_who_read_it(run: Run):
    change(run.path, "second")
    assert contents(run.path) == ("second", "second")
    assert run.file("ids.parquet").read_text() == "first", "whoever opened it before reads what it was"
    change(run.path, "third")
    assert contents(run.path) == ("third", "third")
    names = {"ids.1.parquet", "ids.2.parquet", "documents.1.parquet", "documents.2.parquet"}
    assert {name for name in entries(run.path) if "parquet" in name} == names, "two generations at most"


def test_what_cannot_be_removed_stops_no_change(run: Run):
    change(run.path, "second")
    for name in ("ids.parquet", "ids.7.parquet"):  # one of before, and one that a killed writer left
        (run.path / name).unlink(missing_ok=True)
        (run.path / name).mkdir()
    change(run.path, "third")
    assert contents(run.path) == ("third", "third")


def test_a_change_that_fails_leaves_nothing(run: Run):
    def fail() -> None:
        with changing(run.path) as new:
            new.path("ids.parquet").write_text("half")
            raise RuntimeError("in the middle")

    before = entries(run.path)
    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert contents(run.path) == ("first", "first")
    assert entries(run.path) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from lmindexer.runs import changing
replace, seen = os.replace, 0
def killed(self, target):
    global seen
    seen += 1
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, target)
    return Path(target)
Path.replace = killed
from lmindexer.files import write_text
with changing(Path(sys.argv[1])) as new:
    for name in ("ids.parquet", "documents.parquet"):
        write_text(new.path(name), "second")
"""


@pytest.mark.parametrize("rename", [1, 2, 3, 4])
def test_killed_before_any_rename_the_run_is_old_or_new_and_can_be_changed_again(run: Run, rename: int):
    subprocess.run([sys.executable, "-c", KILLED, run.path, str(rename)], check=rename == 4)
    assert contents(run.path) == (("second", "second") if rename == 4 else ("first", "first"))
    change(run.path, "third")
    assert contents(run.path) == ("third", "third")
    assert not [name for name in entries(run.path) if name.startswith(".") and name != ".lock"]


WRITER = """
import sys
from pathlib import Path
from lmindexer.progress import Progress
from lmindexer.runs import changing
with changing(Path(sys.argv[1]), Progress(sys.stdout)) as new:
    count = int(new.run.file("ids.parquet").read_text())
    print("in", flush=True)
    if len(sys.argv) > 2:
        sys.stdin.readline()
    new.path("ids.parquet").write_text(str(count + 1))
"""


def test_a_second_writer_waits_and_says_so_and_builds_on_the_first(run: Run):
    with changing(run.path) as new:
        new.path("ids.parquet").write_text("0")
    start = [sys.executable, "-c", WRITER, str(run.path)]
    first = subprocess.Popen([*start, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "in\n"
    second = subprocess.Popen(start, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    assert "another process is writing to" in second.stdout.readline()
    first.communicate("go\n")
    second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert Run.open(run.path).file("ids.parquet").read_text() == "2"


def test_who_learns_is_refused_at_once_where_another_writes(run: Run):
    holder = "import sys\nfrom pathlib import Path\nfrom lmindexer.runs import writing\n"
    holder += "with writing(Path(sys.argv[1])): print('in', flush=True); sys.stdin.readline()"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    with (
        pytest.raises(InputError, match=r"another process is writing to .*; wait until it has ended"),
        writing(run.path, wait=False),
    ):
        pass
    process.kill()
    process.wait()
    with writing(run.path, wait=False), writing(run.path, wait=False):
        pass  # the lock ends with its process, and may be entered again by its holder


def test_a_folder_made_for_nothing_goes_again(tmp_path: Path):
    with pytest.raises(InputError, match="bad corpus"), writing(tmp_path / "new" / "run", make=True):
        raise InputError("bad corpus")
    assert entries(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_a_file_that_stands_in_the_way_is_told(tmp_path: Path):
    (tmp_path / "run").write_text("")
    with (
        pytest.raises(InputError, match="exists already and is not a run folder"),
        writing(tmp_path / "run", make=True),
    ):
        pass


@pytest.mark.parametrize("name", ["ids.parquet", "documents.parquet", "backbone/config.json", "config.toml"])
def test_a_single_flipped_bit_is_told(run: Run, name: str):
    path = run.path / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(InputError, match=rf"{path.name} is damaged: its bytes are not those .* lmindexer check"):
        _ = (
            Run.open(run.path).folder("backbone")
            if "/" in name
            else (Run.open(run.path).config if name == "config.toml" else Run.open(run.path).file(name))
        )


def test_a_file_that_is_gone_or_cut_is_told(run: Run):
    (run.path / "ids.parquet").write_text("fir")
    with pytest.raises(InputError, match="it has 3 bytes and was written with 5"):
        Run.open(run.path).file("ids.parquet")
    (run.path / "ids.parquet").unlink()
    with pytest.raises(InputError, match="is missing"):
        Run.open(run.path).file("ids.parquet")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("state", 7, "its state is '7'"),
        ("corpus", [], "its corpus is not an object"),
        ("corpus", {}, "its corpus has no fingerprint"),
        ("files", ["ids.parquet"], "its list of files"),
        ("files", {"../other": {"bytes": 1, "digest": ""}}, "its list of files"),
        ("files", {"ids.parquet": {"bytes": 1, "digest": "", "as": "/etc/passwd"}}, "its list of files"),
        ("format", 99, "reads formats 1 and 2"),
        ("versions", 3, "reads formats 1 and 2"),
    ],
)
def test_a_damaged_run_json_is_a_sentence(run: Run, key: str, value: object, message: str):
    facts = run.facts | {key: value} | ({"format": None} if key == "versions" else {})
    run.write_json("run.json", facts)
    with pytest.raises(InputError, match=message):
        Run.open(run.path)


def test_a_folder_of_the_first_format_opens_and_becomes_one_of_the_second(run: Run):
    facts = {key: value for key, value in run.facts.items() if key != "files"}
    run.write_json("run.json", facts | {"format": 1})
    old = Run.open(run.path)
    assert old.file("ids.parquet").read_text() == "first"
    change(run.path, "second")
    assert contents(run.path) == ("second", "second")
    assert Run.open(run.path).facts["format"] == 2


def test_a_run_that_may_only_be_read_is_told_apart(run: Run, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object, **how: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("lmindexer.runs.lock.FileLock.acquire", refuse)
    with pytest.raises(ReadOnlyError, match=r"cannot write to the run folder .*Read-only file system"):
        change(run.path, "second")
    assert contents(run.path) == ("first", "first")
