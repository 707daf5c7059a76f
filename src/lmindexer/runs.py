"""A run folder: every verb reads and writes one. Files appear whole or not at all.

run.json (state, versions, corpus), config.toml, log.jsonl, checkpoint.safetensors while learning;
then documents.parquet, ids.parquet, ids.jsonl, indexer.safetensors, reconstructor.safetensors,
backbone/, report.json, report.md and curves.png.
"""

import json
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lmindexer.config import LearnConfig, from_mapping, read_toml, to_toml
from lmindexer.errors import InputError
from lmindexer.files import write_atomically

FORMAT = 1  # of the folder; a reader refuses any other
PACKAGES = ("lmindexer", "torch", "transformers", "numpy", "scikit-learn", "pyarrow")


@dataclass(frozen=True)
class Run:
    """The folder at `path`; make one with `create`, read one with `open`."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: LearnConfig, facts: dict[str, Any]) -> "Run":
        """A new folder; raises InputError when something stands there already."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            way_out = "go on with --resume, or choose another --out" if (path / "run.json").exists() else (
                "choose another --out")  # fmt: skip
            raise InputError(f"{path} exists already; {way_out}")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the run folder {path}: {error.strerror}") from None
        run = cls(path)
        run.write_text("config.toml", to_toml(config))
        run.write_json("run.json", {"format": FORMAT, "state": "learning", **_machine(), **facts})
        return run

    @classmethod
    def open(cls, path: Path, finished: bool = True) -> "Run":
        """An existing folder; raises InputError when it is none, of another version, or not finished."""
        run = cls(Path(path))
        if not (run.path / "run.json").is_file():
            raise InputError(f"{path} is not a run folder: it has no run.json; make one with `lmindexer learn`")
        try:
            facts = run.facts
        except json.JSONDecodeError as error:
            raise InputError(f"{run.path / 'run.json'} is damaged: {error}") from None
        if facts.get("format") != FORMAT:
            wrote = facts.get("versions", {}).get("lmindexer", "another version")
            raise InputError(
                f"{path} was written by lmindexer {wrote} in run format {facts.get('format')}, and this version "
                f"reads format {FORMAT}; use that version, or learn the run anew"
            )
        if finished and facts["state"] != "finished":
            raise InputError(f"{path} is not finished; go on with: lmindexer learn --resume --out {path}")
        return run

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json says: state, versions, device, corpus."""
        return json.loads((self.path / "run.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    @property
    def config(self) -> LearnConfig:
        path = self.path / "config.toml"
        return from_mapping(read_toml(path), str(path))

    def finish(self, **facts: Any) -> None:
        """Mark the run as finished and drop what only resuming needed."""
        self.write_json("run.json", self.facts | facts | {"state": "finished"})
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def read_json(self, name: str) -> Any:
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path} is missing; the run folder is incomplete") from None

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        write_atomically(self.path / name, lambda path: path.write_text(text, encoding="utf-8") and None)

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
    return {"created": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions, "platform": platform.platform()}
