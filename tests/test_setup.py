"""`make setup` promises the tools of development, whoever made .venv before; CI runs what the README promises."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or not (ROOT / "Makefile").exists(), reason="needs make and a checkout"
)

# A Python of a given version that keeps a list of what it was asked to install, and makes environments of itself.
PYTHON = """#!/bin/sh
case "$1 $2" in
  "-V ") echo "Python {version}" ;;
  "-m venv")
    for place; do :; done
    [ "$3" = --clear ] && rm -rf "$place"
    mkdir -p "$place/bin" "$place/lib/python3/site-packages" && touch "$place/pyvenv.cfg"
    cp "$0" "$place/bin/python"
    here=$(cd "$place" && pwd -P)
    echo 'echo "pip 1.0 from '"$here"'/lib/python3/site-packages/pip (python {version})"' > "$place/bin/pip"
    chmod +x "$place/bin/pip"
    echo "made $*" >> {log} ;;
  "-m pip") [ -e {broken} ] && exit 1; echo "installed $*" >> {log} ;;
esac
"""


class Clone:
    """A checkout with what setup depends on, and two Pythons."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.broken = folder / "clone", folder / "log", folder / "broken"
        self.folder.mkdir()
        self.log.touch()
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.folder)
        for version in ("3.11", "3.12"):
            python = folder / f"python{version}"
            python.write_text(PYTHON.format(version=version, log=self.log, broken=self.broken))
            python.chmod(0o755)
        self.default = folder / "bin" / "python3"
        self.default.parent.mkdir()
        shutil.copy(folder / "python3.11", self.default)

    def setup(self, *given: str) -> list[str]:
        """What `make setup` did, line by line: environments made and packages installed."""
        before = len(self.log.read_text().splitlines())
        path = f"{self.default.parent}:/usr/bin:/bin"
        subprocess.run(["make", "setup", *given], cwd=self.folder, env={"PATH": path}, capture_output=True)
        return self.log.read_text().splitlines()[before:]

    def pip_install(self) -> None:
        """The README's first command: an environment made by pip alone, with the package as a copy in it."""
        if not (self.folder / ".venv").exists():
            subprocess.run([self.default, "-m", "venv", ".venv"], cwd=self.folder, check=True)
        (self.folder / ".venv/bin/lmindexer").touch()
        (self.folder / ".venv/lib/python3/site-packages/lmindexer").mkdir()

    def installed_editable(self) -> None:
        shutil.rmtree(self.folder / ".venv/lib/python3/site-packages/lmindexer", ignore_errors=True)


def development(done: list[str]) -> bool:
    return any("--editable .[dev]" in line for line in done)


def made(done: list[str]) -> list[str]:
    return [line for line in done if line.startswith("made")]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_fresh_clone_is_set_up_once(clone: Clone):
    done = clone.setup()
    assert development(done)
    assert len(made(done)) == 1
    assert clone.setup() == []


def test_an_environment_of_the_readmes_first_command_gets_the_tools_and_keeps_its_packages(clone: Clone):
    clone.pip_install()
    done = clone.setup()
    assert development(done)
    assert made(done) == []
    clone.installed_editable()
    assert clone.setup() == []


def test_a_package_installed_as_a_copy_later_is_not_what_is_tested(clone: Clone):
    clone.setup()
    clone.pip_install()
    assert development(clone.setup())


def test_a_setup_that_failed_goes_on(clone: Clone):
    clone.broken.touch()
    assert not development(clone.setup())
    clone.broken.unlink()
    assert development(clone.setup())


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt", "Makefile"])
def test_what_setup_depends_on_brings_it_again(clone: Clone, changed: str):
    clone.setup()
    stamp = clone.folder / ".venv/.setup"
    later = stamp.stat().st_mtime_ns + 2_000_000_000
    os.utime(clone.folder / changed, ns=(later, later))
    done = clone.setup()
    assert development(done)
    assert made(done) == []


@pytest.mark.parametrize("original_stays", [True, False])
def test_a_clone_that_was_moved_or_copied_is_set_up_anew(clone: Clone, original_stays: bool):
    clone.setup()
    moved = clone.folder.with_name("moved")
    (shutil.copytree if original_stays else shutil.move)(clone.folder, moved)
    clone.folder = moved
    done = clone.setup()
    assert development(done)
    assert ["--clear" in line for line in made(done)] == [True]
    assert clone.setup() == []


def test_another_python_is_another_environment_and_stays(clone: Clone):
    clone.setup()
    other = f"PYTHON={clone.folder.parent / 'python3.12'}"
    assert ["--clear" in line for line in made(clone.setup(other))] == [True]
    assert clone.setup(other) == []
    assert clone.setup() == [], "not back to the default one"


def test_another_torch_is_another_environment_and_stays(clone: Clone):
    clone.setup()
    done = clone.setup("TORCH=torch")
    assert len(made(done)) == 1
    assert any(line.endswith(" torch") for line in done)
    assert clone.setup("TORCH=torch") == []
    assert clone.setup() == []


def test_ci_runs_the_two_commands_of_the_readme():
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    found = subprocess.run([ROOT / ".ci/readme-commands"], capture_output=True, text=True, check=True).stdout
    assert found == "".join(blocks[:2])
    demo, tests = found.splitlines()
    assert demo.endswith("lmindexer demo")
    assert tests == "make setup test"
