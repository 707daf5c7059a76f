"""A run folder: every verb reads and writes one. Files appear whole or not at all.

run.json (state, versions, corpus), config.toml, log.jsonl, checkpoint.safetensors while learning;
then documents.parquet, ids.parquet, ids.jsonl, indexer.safetensors, reconstructor.safetensors,
backbone/, report.json, report.md and curves.png. What fine-tuning adds is named in
retrievers/finetuned and tasks/finetune.
"""

import json
import platform
import re
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lmindexer.config import LearnConfig, from_mapping
from lmindexer.errors import InputError
from lmindexer.files import write_text
from lmindexer.settings import read_toml, to_toml

FORMAT = 1  # of the folder; a reader refuses any other
TEMPORARY = re.compile(r"\.[0-9a-f]{8}\..+")  # of write_atomically, where it was killed
LEFT_BY_CREATE = re.compile(r"run\.json|\.[0-9a-f]{8}\.(run\.json|config\.toml)")
PACKAGES = ("lmindexer", "torch", "transformers", "numpy", "scikit-learn", "pyarrow")


@dataclass(frozen=True)
class Run:
    """The folder at `path`; make one with `create`, read one with `open`."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: LearnConfig, facts: dict[str, Any]) -> "Run":
        """A new folder; raises InputError when something stands there already."""
        cls.check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the run folder {path} ({error.strerror}); choose another --out") from None
        run = cls(path)
        try:
            run.write_json("run.json", {"format": FORMAT, "state": "learning", **_machine(), **facts})
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
        if facts.get("format") != FORMAT:
            wrote = facts.get("versions", {}).get("lmindexer", "of another version")
            raise InputError(
                f"{path} was written by lmindexer {wrote} in run format {facts.get('format')}, and this version "
                f"reads format {FORMAT}; use the version that wrote it, or learn it anew"
            )
        if finished and facts["state"] == "learning":
            raise InputError(f"{path} is not finished; go on with: lmindexer learn FILES --resume --out {path}")
        return run

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json says: state, versions, device, corpus."""
        return self.read_json("run.json")

    @property
    def config(self) -> LearnConfig:
        path = self.path / "config.toml"
        values = read_toml(path)
        if values.get("encoder") == "auto":  # of a run before 2026-11-25: the machine decided
            values["encoder"] = "frozen" if self.facts.get("device", "cpu") == "cpu" else "full"
        return from_mapping(values, str(path))

    def finish(self, **facts: Any) -> None:
        """Mark the run as finished and drop what only resuming needed."""
        self.write_json("run.json", self.facts | facts | {"state": "finished"})
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove the temporary files of writes that were killed."""
        for left in self.path.iterdir():
            if TEMPORARY.fullmatch(left.name):
                left.unlink(missing_ok=True)

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path} is missing; the run folder is incomplete, learn it anew") from None
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); learn the run anew") from None
        if not isinstance(value, dict):
            raise InputError(f"{path} is damaged (not an object); learn the run anew")
        return value

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        write_text(self.path / name, text)

    def log_records(self) -> list[dict[str, Any]]:
        """Every line of log.jsonl; a last line cut off by a kill is left out."""
        path, records = self.path / "log.jsonl", []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records


def _machine() -> dict[str, Any]:
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
