"""The folder of a run: made, opened, read, finished."""

import json
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lmindexer.config import LearnConfig, from_mapping
from lmindexer.errors import InputError
from lmindexer.files import json_text, write_text
from lmindexer.runs.contents import check_listing, fault_of, leftovers, listing, present_names
from lmindexer.runs.lock import LOCK, make_folder, writing
from lmindexer.settings import read_toml, to_toml

FORMAT = 2  # of the folder, as it is written; 1 has no list of files
READABLE = (1, FORMAT)
LEFT_BY_CREATE = re.compile(rf"run\.json|\.[0-9a-f]{{8}}\.(run\.json|config\.toml)|{re.escape(LOCK)}")
STATES = ("learning", "fine-tuning", "finished")
UNEXPECTED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, StopIteration)
PACKAGES = ("lmindexer", "torch", "transformers", "numpy", "scikit-learn", "pyarrow")


@dataclass(frozen=True)
class Run:
    """The folder at `path`, as it stood when `facts` were first read; make one with `create`, read one with `open`."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: LearnConfig, facts: dict[str, Any]) -> "Run":
        """A new folder; raises InputError when something stands there already."""
        cls.check_free(path)
        make_folder(path)
        run = cls(path)
        try:
            run.write_json("run.json", {"state": "learning", **_origin(), **facts, "format": FORMAT})
            run.write_text("config.toml", to_toml(config))
        except InputError:  # no space
            shutil.rmtree(path)
            raise
        return run

    @classmethod
    def check_free(cls, path: Path) -> None:
        """Raise InputError unless a run can be made at `path`: nothing there, or what a killed `create` left."""
        if cls.is_begun(path):
            raise InputError(f"{path} exists already; go on with --resume, or choose another --out")
        if path.exists() and (
            not path.is_dir() or any(not LEFT_BY_CREATE.fullmatch(left.name) for left in path.iterdir())
        ):
            raise InputError(f"{path} exists already and is not a run folder; choose another --out")

    @staticmethod
    def is_begun(path: Path) -> bool:
        """Whether `path` holds a run, finished or not."""
        return (path / "run.json").is_file() and (path / "config.toml").is_file()

    @classmethod
    def open(cls, path: Path, finished: bool = True) -> "Run":
        """An existing folder; raises InputError when it is none, of another version, or not finished."""
        run = cls(Path(path))
        if not run.path.exists():
            raise InputError(f"there is no run folder {path}; check the path, or make one with lmindexer learn")
        if not (run.path / "run.json").is_file():
            raise InputError(f"{path} is not a run folder: it has no run.json; make one with lmindexer learn")
        facts = run.facts
        if facts.get("format") not in READABLE:
            versions = facts.get("versions")
            wrote = versions.get("lmindexer") if isinstance(versions, dict) else "of another version"
            raise InputError(
                f"{path} was written by lmindexer {wrote} in run format {facts.get('format')}, and this version "
                f"reads formats {' and '.join(map(str, READABLE))}; use the version that wrote it, or learn it anew"
            )
        _check_facts(facts, run.path / "run.json")
        if finished and facts["state"] == "learning":
            raise InputError(f"{path} is not finished; go on with: {run.way_on}")
        return run

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What run.json said when it was first read: state, versions, device, corpus, files."""
        return self.read_json("run.json")

    @property
    def config(self) -> LearnConfig:
        """The settings it was learned with. Raises InputError when they cannot be read."""
        path = self.path / "config.toml"
        self._check_listed("config.toml")
        values = read_toml(path)
        if values.get("encoder") == "auto":  # of a run before 2026-11-25: the machine decided
            values["encoder"] = "frozen" if self.facts.get("device", "cpu") == "cpu" else "full"
        return from_mapping(values, str(path))

    @property
    def bf16(self) -> bool:
        """Whether texts are read in bfloat16 here, as was resolved when the run began, whatever machine goes on."""
        return bool(self.facts.get("bf16", False))

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """By name, size and digest of every listed file, and its present name ("as") where that is another."""
        return check_listing(self.facts.get("files", {}), self.path / "run.json")

    @property
    def is_finetuning(self) -> bool:
        """Whether fine-tuning made this folder, finished or not."""
        return "began_with" in self.facts

    @property
    def way_on(self) -> str:
        """The command that finishes what was begun here."""
        if self.is_finetuning:
            source = self.facts.get("indexed_by", "RUN")
            return f"lmindexer finetune {source} ... --resume --out {self.path}, with the same data and settings"
        return f"lmindexer learn FILES --resume --out {self.path}"

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self.files or (self.path / name).exists()

    def file(self, name: str) -> Path:
        """Where the present `name` lies, such as ids.parquet.

        Raises:
            InputError: when it is missing, or its bytes are not those that were written.
        """
        self._check_listed(name)
        path = self._present(name)
        if not path.exists():
            raise InputError(f"{path} is missing; see what can be mended with: lmindexer check {self.path}")
        return path

    def folder(self, name: str) -> Path | None:
        """The folder `name` of the run, such as backbone, or None. Raises InputError as `file`."""
        for listed in self.files:
            if listed.startswith(f"{name}/"):
                self._check_listed(listed)
        return self.path / name if (self.path / name).is_dir() else None

    def fault(self, name: str) -> str:
        """What is wrong with a listed file, as a clause; "" where nothing is, or where it is not listed."""
        entry = self.files.get(name)
        return "" if entry is None else fault_of(self._present(name), entry)

    def _check_listed(self, name: str) -> None:
        if fault := self.fault(name):
            raise InputError(f"{self._present(name)} {fault}; see what can be mended with: lmindexer check {self.path}")

    def _present(self, name: str) -> Path:
        return self.path / present_names(self.files).get(name, name)

    def update(self, **facts: Any) -> None:
        """Change some of the facts, in one rename. Only the one that is `writing` may."""
        changed = self.read_json("run.json") | facts | {"format": FORMAT}
        self.write_json("run.json", changed)
        self.__dict__["facts"] = changed

    def finish(self, **facts: Any) -> None:
        """Mark the run as finished, list its files and drop what only resuming needed."""
        self.update(**facts, state="finished", files=listing(self.path))
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove what killed writers left. Raises InputError when another process is writing here."""
        with writing(self.path, wait=False):
            for left in leftovers(self.path, self.files):
                with suppress(OSError):  # gone already, or a folder: `check` tells of it
                    left.unlink()

    @contextmanager
    def trusting(self, name: str) -> Iterator[None]:
        """Use what the file `name` says: where that is not what is written there, InputError calls it damaged.

        A digest tells what changed since; it says nothing of a folder that another program wrote, or an older one.
        """
        try:
            yield
        except InputError:
            raise
        except UNEXPECTED as error:
            what = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(
                f"{self._present(name)} is damaged ({what}); take it from a copy, or learn the run anew"
            ) from None

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.file(name) if name != "run.json" else self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            json_text(value, ensure_ascii=False).encode()  # half a character could not be written again
        except FileNotFoundError:
            raise InputError(f"{path} is missing; the run folder is incomplete, learn it anew") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged ({error}); learn the run anew") from None
        if not isinstance(value, dict):
            raise InputError(f"{path} is damaged (not an object); learn the run anew")
        return value

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json_text(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        write_text(self.path / name, text)

    def log_records(self) -> list[dict[str, Any]]:
        """Every line of log.jsonl, up to the first that was cut off by a kill or is damaged."""
        path, records = self.path / "log.jsonl", []
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not _is_record(record):
                break
            records.append(record)
        return records

    @property
    def seconds_logged(self) -> float:
        """How long was trained here so far, as far as the log tells."""
        return float(sum(record["seconds"] for record in self.log_records()))


def _check_facts(facts: Mapping[str, Any], origin: Path) -> None:
    """Raise InputError unless run.json says what every reader relies on."""
    corpus = facts.get("corpus", {})
    if facts.get("state") not in STATES:
        fault = f"its state is {str(facts.get('state'))[:80]!r}"
    elif not isinstance(corpus, dict):
        fault = "its corpus is not an object"
    elif facts["state"] != "learning" and not isinstance(corpus.get("fingerprint"), str):
        fault = "its corpus has no fingerprint"
    else:
        check_listing(facts.get("files", {}), origin)
        return
    raise InputError(f"{origin} is damaged ({fault}); learn the run anew")


def _is_record(record: Any) -> bool:
    """Whether it is a line of the log: a stage and its numbers."""
    if not isinstance(record, dict) or not isinstance(record.get("stage"), str):
        return False
    numbers = [value for name, value in record.items() if name != "stage"]
    return {"epoch", "seconds"} <= record.keys() and all(type(number) in (int, float) for number in numbers)


def _origin() -> dict[str, Any]:
    """When and with which versions, on which platform, a run is made."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions,
        "platform": platform.platform(),
    }
