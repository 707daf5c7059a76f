"""What a table or a figure is made from: documents, settings, seeds, and runs that are learned once and taught once."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.finished import learn_or_reuse
from bench.paper.data import DataSet
from bench.paper.names import folder_name
from lmindexer.config import FinetuneConfig, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods.registry import METHODS
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries
from lmindexer.runs import Run
from lmindexer.settings import counting, parse
from lmindexer.teaching.fine_tuning import finetune

NOT_HERE = ("cannot load the model", "which is not installed")  # of sentences: weights or a package are missing


class UnavailableError(Exception):
    """A row that cannot be run on this machine, and why, in a sentence."""


@dataclass(frozen=True)
class Bench:
    """One data set with the settings that all systems have alike; every run lies in `folder`."""

    data: DataSet
    corpus: Corpus
    config: LearnConfig
    seeds: list[int]
    out: Path
    quiet: bool
    only: tuple[str, ...]
    learning: Mapping[str, Any] = field(default_factory=dict)  # what of `config` was set by hand
    teaching: Mapping[str, Any] = field(default_factory=dict)  # settings of finetune, for all methods
    pseudo: tuple[Path, ...] = ()  # files of pseudo-queries, for all that learn to search
    hold_out: float = 0.0

    @property
    def folder(self) -> Path:
        """Where runs of these documents go."""
        return self.out / self.data.name

    @property
    def progress(self) -> Progress:
        """What is shown of long work."""
        return Progress(None if self.quiet else sys.stderr)

    def chosen(self, rows: Iterable[str]) -> list[str]:
        """The rows that --only names, whole or by their beginnings. Raises InputError where that is none."""
        names, chosen = list(rows), list[str]()
        for part in self.only:
            whole = [name for name in names if name.lower() == part.lower()]
            chosen += whole or [name for name in names if name.lower().startswith(part.lower())]
        chosen = [name for name in names if name in chosen]
        if not chosen:
            raise InputError(f"no row begins with {' or '.join(self.only)}; the rows are {', '.join(names)}")
        return chosen

    def learned(self, name: str, changes: Mapping[str, Any], seed: int) -> Run:
        """The finished run of a row; a row that changes nothing is LMIndexer.

        Raises UnavailableError for want of an encoder.
        """
        config = self.config.replace(**changes, seed=seed)
        folder = self.folder / f"{folder_name(name if changes else 'LMIndexer')}-{seed}"
        try:
            return learn_or_reuse(config, self.corpus, folder, self.quiet)
        except InputError as error:
            raise _why_not(error) from None

    def runs(self, name: str, changes: Mapping[str, Any], seeds: list[int] | None = None) -> list[Run]:
        """One finished run a seed; none, and a line that says why, where an encoder cannot be had."""
        try:
            return [self.learned(name, changes, seed) for seed in (self.seeds if seeds is None else seeds)]
        except UnavailableError as reason:
            print(f"{name} was not run: {reason}", file=sys.stderr)
            return []

    def taught(self, learned: Run, method: str, task: str, queries: Mapping[str, Queries] | None) -> Run:
        """The run that was taught a task beside `learned`, reused or gone on with.

        `queries` are those to search, by split; without them it is taught to recommend. Raises UnavailableError for
        want of weights or of a package.
        """
        parts = [learned.path.name, task, *([] if method == "generative" else [method])]
        parts += [] if queries is None else [folder_name(path.stem) for path in self.pseudo]
        out = learned.path.with_name("-".join(parts))
        config = parse(FinetuneConfig, dict(self.teaching) | {"method": method, "task": task})
        config = replace(config, seed=learned.config.seed)
        data: dict[str, Any] = {"sequences": self.data.sequences}
        if queries is not None:
            data = {"queries": queries["train"], "dev": queries.get("dev"), "test": queries["test"]}
            data["pseudo"] = self.pseudo
        try:
            finetune(learned.path, out, **data, config=config, resume=True, progress=self.progress)
        except InputError as error:
            raise _why_not(error) from None
        return Run.open(out)

    def check_teaching(self, methods: Iterable[str], task: str) -> None:
        """Raise InputError for a setting of --finetune that counts for none of the methods."""
        configs = [
            parse(FinetuneConfig, dict(self.teaching) | {"method": name, "task": task})
            for name in methods
            if name in METHODS and METHODS[name].teachable
        ]
        known = {f.name for config in configs for f in counting(config)}
        for name in self.teaching if configs else ():
            if name not in known:
                raise InputError(f"--finetune {name} counts for no row of this table; leave it out")


def _why_not(error: InputError) -> Exception:
    """UnavailableError, where weights or a package are missing; else the error itself."""
    return UnavailableError(str(error)) if any(part in str(error) for part in NOT_HERE) else error
