"""Many inputs in processes of their own: one that hangs or dies is a finding, and the next process goes on behind it.

Input n of a seed is the same in every campaign, whatever was before it.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fuzz.cases import KINDS, Case, lay_out
from fuzz.judging import fault_of

SECONDS = 60  # of computing; who needs more hangs
WAITS = 600  # seconds until who does nothing hangs
MEMORY = 8 * 2**30  # bytes of address space that a process may have beside what it begins with
A_PROCESS = 400  # inputs


@dataclass(frozen=True)
class Input:
    number: int
    kind: str


@dataclass(frozen=True)
class Finding:
    """What went wrong, the first line of it in short; `code` is the command's exit code, -1 for none."""

    input: Input
    command: list[str]
    what: str
    fault: str
    code: int


def inputs(seed: int, count: int, kinds: Iterable[str] = KINDS) -> Iterator[Input]:
    """As often of each kind as it weighs."""
    names = list(kinds)
    for n in range(count):
        dice = random.Random(f"kind {seed} {n}")
        yield Input(n, dice.choices(names, [KINDS[name][0] for name in names])[0])


def made(given: Input, seed: int, home: Path, folder: Path) -> Case:
    """The input laid out in a new folder."""
    lay_out(home, folder)
    return KINDS[given.kind][1](random.Random(f"{given.kind} {seed} {given.number}"), home, folder)


def judged(given: Input, seed: int, home: Path, folder: Path) -> Finding:
    """The command given, and what was wrong; the folder goes again."""
    shutil.rmtree(folder, ignore_errors=True)
    case = made(given, seed, home, folder)
    fault, code = fault_of(case, home, folder)
    return Finding(given, case.command, case.what, fault, code)


def campaign(
    all_inputs: list[Input], seed: int, home: Path, judge: Callable[..., Finding] = judged
) -> Iterator[Finding]:
    """Every input judged, in the order given, `A_PROCESS` in a process; `fault` is "" where nothing is wrong."""
    at = 0
    with tempfile.TemporaryDirectory() as folder:
        while at < len(all_inputs):
            told, tell = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(told)
                _work(all_inputs[at : at + A_PROCESS], seed, home, Path(folder) / "case", tell, judge)
            os.close(tell)
            with open(told, encoding="utf-8") as lines:  # noqa: PTH123 - a descriptor
                for line in lines:
                    fault, command, what, code = json.loads(line)
                    yield Finding(all_inputs[at], command, what, fault, code)
                    at += 1
            died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if died:
                name = signal.Signals(-died).name if died < 0 else str(died)
                hangs = {"SIGPROF": f"a hang of {SECONDS} s of computing", "SIGALRM": f"a hang of {WAITS} s"}
                yield Finding(all_inputs[at], [], "", hangs.get(name, f"the process died of {name}"), -1)
                at += 1


def _work(some: list[Input], seed: int, home: Path, folder: Path, tell: int, judge: Callable[..., Finding]) -> None:
    """In a process of its own: it never returns."""
    status = 1
    with contextlib.suppress(BaseException):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        _be_quiet()
        with os.fdopen(tell, "w", encoding="utf-8") as lines:
            for given in some:
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                signal.setitimer(signal.ITIMER_REAL, WAITS)
                try:
                    found = judge(given, seed, home, folder)
                except Exception:  # of the fuzzer itself
                    found = Finding(given, [], "", f"the fuzzer itself\n{traceback.format_exc()}", -1)
                lines.write(json.dumps([found.fault, found.command, found.what, found.code]) + "\n")
                lines.flush()
        status = 0
    os._exit(status)


def _be_quiet() -> None:
    """What libraries write past sys.stderr goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def tell(
    findings: Iterable[Finding], count: int, seed: int, keep: Path | None, home: Path, to: TextIO = sys.stdout
) -> int:
    """Progress and every new kind of finding; how many findings there are."""
    faults: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for done, found in enumerate(findings, 1):
        codes[f"{found.input.kind}: exit {found.code}"] += 1
        if found.fault:
            first = found.fault.splitlines()[0]
            short = f"{first[:80]} | {_place(found.fault)}"
            if not faults[short]:
                print(
                    f"\ninput {found.input.number}, {found.input.kind} ({found.what}): {found.fault}",
                    file=to,
                    flush=True,
                )
                print(f"  lmindexer {' '.join(map(repr, found.command))[:400]}", file=to)
                if keep is not None and found.command:
                    _keep(found, seed, home, keep, to)
            faults[short] += 1
        if done % 250 == 0 or done == count:
            print(
                f"{done:,} of {count:,} inputs, {faults.total():,} findings of {len(faults)} kinds", file=to, flush=True
            )
    for name in sorted(codes):
        print(f"  {codes[name]:6,}  {name}", file=to)
    for short, often in faults.most_common():
        print(f"  {often:6,} times: {short}", file=to)
    return faults.total()


def _place(fault: str) -> str:
    """Where a trace ends: the last line of it that is the package's."""
    lines = [line.strip() for line in fault.splitlines() if "/lmindexer/" in line and line.strip().startswith("File")]
    return lines[-1].rpartition("/lmindexer/")[2][:80] if lines else ""


def _keep(found: Finding, seed: int, home: Path, keep: Path, to: TextIO) -> None:
    """The folder of a finding and its command, to be given again."""
    folder = keep / f"{seed}-{found.input.number}"
    shutil.rmtree(folder, ignore_errors=True)
    keep.mkdir(parents=True, exist_ok=True)
    case = made(found.input, seed, home, folder)
    (folder / "stdin").write_bytes(case.stdin)
    (folder / "command.json").write_text(json.dumps(case.command))
    (folder / "fault.txt").write_text(found.fault)
    print(f"  kept in {folder}", file=to)
