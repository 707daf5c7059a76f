"""What is wrong with how a command took what it was given: a trace, a loss without a word, a long or unclear message, a
half-written file, memory without end."""

import contextlib
import hashlib
import io
import json
import re
import resource
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Answer, lmindexer
from fuzz.cases import Case, bring, lay_out
from fuzz.home import without_pictures
from lmindexer.errors import LONGEST

LINE = LONGEST + len("lmindexer: ")  # characters of a line on standard error
MEMORY = 2**20  # KiB that one command may take more than those before it
PART = re.compile(r"\.[0-9a-f]{8}\..+")  # of write_atomically
MAY_CHANGE = re.compile(  # in a folder of which a command was refused: caches, pictures, the lock, what goes on
    r"(run|other)/(\.lock|(dense|items)\.parquet|report\.md|curves\.png|explore\.html|results-.*)"
    r"|(learning|finetuning|made)(/.*)?|out(/.*)?"
)


def fault_of(case: Case, home: Path, folder: Path) -> tuple[str, int]:
    """One line on what is wrong, perhaps followed by a trace, or ""; and the exit code."""
    before = contents(folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        answer = answer_of(case, folder)
    except (Exception, SystemExit):
        trace = traceback.format_exc().strip().splitlines()
        return "\n".join([trace[-1][:300], *trace[-12:]]), -1
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    faults = [_unclear(answer, case), f"{more:,} KiB of memory" if more > MEMORY else ""]
    faults += [_half_written(answer, before, contents(folder), case)]
    if answer.code == 0:
        faults += [case.lost(answer), _unlike_whole(answer, case, home, folder) if case.whole else ""]
    return next(filter(None, faults), ""), answer.code


def answer_of(case: Case, folder: Path) -> Answer:
    """What the command says in that folder; SystemExit only where a stream could not take its text."""
    learning = contextlib.nullcontext() if case.learns else _without_learning()
    with contextlib.chdir(folder), _standard_input(case.stdin), learning, without_pictures():
        answer = lmindexer(*case.command)
    answer.out.encode()  # as a terminal would have to; UnicodeEncodeError is a trace
    return answer


@contextlib.contextmanager
def _standard_input(content: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(content))
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _without_learning() -> Iterator[None]:
    """`learn` and `finetune` read files and resolve settings, and there they end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmindexer.cli.learning._fit", lambda *arguments: None)
        for name in ("_teach", "load_retriever"):
            patch.setattr(f"lmindexer.teaching.fine_tuning.{name}", lambda *arguments: None)
        yield


def contents(folder: Path) -> dict[str, str]:
    """By path, the digest of every file below the folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def _unclear(answer: Answer, case: Case) -> str:
    lines = answer.err.split("\n")
    if "Traceback (most recent call last)" in answer.err:
        return "a trace on standard error\n" + answer.err
    if long := [line for line in lines if len(line) > LINE]:
        return f"a line of {len(long[0]):,} characters\n{long[0][:2000]}"
    if answer.code == 0 or (answer.code == 1 and case.command[0] in ("check", "search") and answer.out + answer.err):
        return ""  # 1: faults of the run are listed; some questions of a batch were refused
    if answer.code != 2:
        return f"exit code {answer.code}"
    last = lines[-2] if len(lines) > 1 else ""
    if not last.startswith("lmindexer: ") or not last.isprintable() or len(last) < 30:
        return f"no sentence: {last[:300]!r}\n{answer.err}"
    return ""


def _half_written(answer: Answer, before: dict[str, str], after: dict[str, str], case: Case) -> str:
    if parts := [name for name in after if PART.fullmatch(name.rpartition("/")[2]) and name not in before]:
        return f"left {parts[0]}"
    if answer.code in (0, 1):
        return ""
    changed = [name for name in after.keys() | before.keys() if after.get(name) != before.get(name)]
    changed = [name for name in changed if not MAY_CHANGE.fullmatch(name)]
    return f"refused, and yet changed {min(changed)}" if changed else ""


def _unlike_whole(answer: Answer, case: Case, home: Path, folder: Path) -> str:
    """How the answer differs from that of the run as it was, of which a listed file was changed."""
    if case.command[0] == "check" and "--mend" not in case.command:
        return "check says that a changed run is whole"
    command = case.command
    if case.command[0] == "check":  # what was mended is what it was
        command = ["export", "run"]
        answer = answer_of(Case(command), folder)
        if answer.code:
            return f"mended, but export says {answer.err}"
    whole = _of_whole(command, case.whole, home)
    written = {name: digest for name, digest in contents(folder).items() if name.startswith("out.")}
    if whole["code"] != 0:
        return f"answered, where the whole run says {whole['err']}"
    if answer.out != whole["out"] or written != whole["written"]:
        return "another answer than the whole run's, without a word"
    return ""


def _of_whole(command: list[str], run: str, home: Path) -> dict[str, object]:
    """What the command says of the run as it was; kept in the home."""
    key = hashlib.md5(json.dumps([command, run]).encode()).hexdigest()
    kept = home / "whole" / f"{key}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        folder = home / "whole" / key
        lay_out(home, folder)
        bring(home, folder, run)
        bring(home, folder, "random", "other")
        answer = answer_of(Case(command), folder)
        written = {name: digest for name, digest in contents(folder).items() if name.startswith("out.")}
        told = {"code": answer.code, "out": answer.out, "err": answer.err, "written": written}
        kept.write_text(json.dumps(told))
        shutil.rmtree(folder)
    return dict(json.loads(kept.read_text()))
