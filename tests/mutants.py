"""Would a test notice? Each mutant of mutants.toml is one line of the code changed, and tests that must fail then.

`make mutants` runs them all on copies in a temporary folder, `make mutants ONLY=NAME` those whose name holds NAME, and
`make mutants SHARE=4` a quarter of them, each day another. It
ends with 1 when a mutant survives, and with 2 when the list does not fit the code or the tests fail without it.
"""

import argparse
import importlib.util
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = Path("src/lmindexer")
COPIED = ("src", "tests", "bench", "pyproject.toml")
AT_ONCE = 2
SECONDS = 900  # what runs longer is stopped and is an error: a slow machine is no test that notices
SLOW_TO_IMPORT = (
    "pytest", "hypothesis", "torch", "sklearn.cluster", "sklearn.metrics", "scipy.sparse", "scipy.special",
    "pyarrow.parquet", "safetensors.torch", "jaxtyping", "beartype", "tokenizers", "transformers",
    *(f"transformers.models.{name}" for name in ("auto.modeling_auto", "bert.modeling_bert", "t5.modeling_t5")),
)  # fmt: skip
TESTED = 100  # exit codes of a child are those of pytest above this; others say that pytest did not come to an end
PASSED, FAILED, ENDLESS = TESTED + 0, TESTED + 1, -1
DOES_NOT_RUN = re.compile(r"^E +((?:Name|Type|Attribute|UnboundLocal|Import|Syntax)Error\b.*)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One line changed."""

    name: str
    file: str  # below src/lmindexer
    old: str  # a part of a line, which the file holds once
    new: str
    tests: tuple[str, ...]  # of pytest, below tests; one of them must fail

    def fault(self, root: Path) -> str:
        """Why it does not fit the code, or ""."""
        path = root / SOURCE / self.file
        if not path.is_file():
            return f"there is no {SOURCE / self.file}"
        count = path.read_text(encoding="utf-8").count(self.old)
        if count != 1:
            return f"{SOURCE / self.file} holds {self.old!r} {count} times; name what stands there once"
        missing = [test for test in self.tests if not _is_there(root / "tests", test)]
        if missing or not self.tests:
            return f"there is no test {missing[0]}" if missing else "no test is named"
        return ""


def read_mutants(path: Path) -> list[Mutant]:
    """The list; the names are each used once."""
    records = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    mutants = [Mutant(**(record | {"tests": tuple(record["tests"])})) for record in records]
    names = [mutant.name for mutant in mutants]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SystemExit(f"two mutants are called {twice[0]!r}")
    return mutants


def run_tests(tree: Path, tests: Sequence[str], told: Path) -> int:
    """TESTED and the exit code of pytest, in a process of its own, for code of `tree`; its output goes to `told`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(SLOW_TO_IMPORT))
    process = context.Process(target=_pytest, args=(tree, tests, told))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return ENDLESS
    return process.exitcode


def outcome(mutant: Mutant, root: Path, folder: Path) -> str:
    """ "killed", "SURVIVED", or what went wrong; `root` is a copy of the code, `folder` is made and removed."""
    shutil.copytree(root, folder)
    path = folder / SOURCE / mutant.file
    path.write_text(path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()
    told = folder / "told.txt"
    code = run_tests(folder, mutant.tests, told)
    said = told.read_text(encoding="utf-8")
    shutil.rmtree(folder)
    if code == FAILED and (broken := DOES_NOT_RUN.search(said)):
        return f"ERROR: it does not run, which tells nothing of the test\n{broken[1]}"
    words = {PASSED: "SURVIVED", FAILED: "killed", ENDLESS: f"ERROR: it had not ended after {SECONDS} s"}
    return words.get(code) or f"ERROR: pytest ended with {code - TESTED}\n{said[-2000:]}"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", default="", help="those whose name or file holds this")
    parser.add_argument(
        "--share", metavar="N", type=int, default=1, help="every Nth, others another day: all in N days"
    )
    given = parser.parse_args(arguments)
    only = given.only
    mutants = [m for m in read_mutants(root / "tests" / "mutants.toml") if only in f"{m.file} {m.name}"]
    mutants = mutants[date.today().toordinal() % given.share :: given.share]
    faults = [f"{mutant.name}: {fault}" for mutant in mutants if (fault := mutant.fault(root))]
    if faults or not mutants:
        print("\n".join(faults) or f"no mutant is called {only!r}")
        return 2
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "whole"
        _copy(root, copy)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        print(f"{len(tests)} tests on the code as it is ...", flush=True)
        if run_tests(copy, tests, copy / "told.txt") != PASSED:
            print(f"{(copy / 'told.txt').read_text(encoding='utf-8')[-4000:]}\nthese must pass first")
            return 2
        survived = wrong = 0
        for mutant, found, seconds in _outcomes(mutants, copy, Path(temporary)):
            print(f"{found.splitlines()[0]:10} {seconds:5.1f} s  {mutant.file:30} {mutant.name}", flush=True)
            print("".join(f"    {line}\n" for line in found.splitlines()[1:]), end="")
            survived, wrong = survived + (found == "SURVIVED"), wrong + found.startswith("ERROR")
    print(f"{len(mutants)} mutants, {survived} survived" + (f", {wrong} could not be tried" if wrong else ""))
    return 2 if wrong else 1 if survived else 0


def _outcomes(mutants: Sequence[Mutant], copy: Path, folder: Path) -> Iterator[tuple[Mutant, str, float]]:
    def judged(number: int) -> tuple[Mutant, str, float]:
        began = time.monotonic()
        return mutants[number], outcome(mutants[number], copy, folder / str(number)), time.monotonic() - began

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(judged, range(len(mutants)))


def _pytest(tree: Path, tests: Sequence[str], told: Path) -> None:
    """In the child: the code of `tree`, wherever the package was installed from."""
    with told.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.path.insert(0, str(tree / "src"))
    found = importlib.util.find_spec("lmindexer")
    if found is None or not str(found.origin).startswith(str(tree)):
        raise SystemExit(f"the package at {found and found.origin} would be tested, not that of {tree}")
    import pytest
    from hypothesis import Phase, settings

    phases = [Phase.explicit, Phase.generate]  # one example that fails is enough: it need not be the smallest
    settings.register_profile("mutants", phases=phases, deadline=None, database=None, derandomize=True)
    settings.load_profile("mutants")
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", f"--rootdir={tree}"]
    sys.exit(TESTED + int(pytest.main([*options, *(f"tests/{test}" for test in tests)])))


def _copy(root: Path, to: Path) -> None:
    to.mkdir()
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (root / name).exists():
            shutil.copy2(root / name, to / name)


def _is_there(tests: Path, test: str) -> bool:
    file, _, function = test.partition("::")
    path = tests / file
    return path.is_file() and f"def {function.partition('[')[0]}" in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
