"""What the benches share: read the documents, learn a run unless it is there already."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.registry import make_indexer
from lmindexer.indexers.sizes import with_sizes
from lmindexer.progress import Progress
from lmindexer.runs import Run
from lmindexer.settings import counting

NO_MATTER = ("text", "id", "device", "checkpoint_seconds")  # the documents are known by their fingerprint


def learn_or_reuse(config: LearnConfig, corpus: Corpus, folder: Path, quiet: bool) -> Run:
    """The finished run at `folder`; learned, or gone on with, where it is not finished.

    Raises InputError where the run there is of other documents or settings: its numbers would be passed off.
    """
    config = with_sizes(config, len(corpus), folder if Run.is_begun(folder) else None)
    if Run.is_begun(folder):
        run = Run.open(folder, finished=False)
        if run.facts["corpus"]["fingerprint"] != corpus.fingerprint:
            raise InputError(f"{folder} is of other documents; choose another --out, or remove it")
        before = run.config
        names = ["indexer", *(f.name for f in counting(config) if f.name not in NO_MATTER)]
        unlike = [name for name in names if getattr(before, name) != getattr(config, name)]
        if unlike:
            raise InputError(f"{folder} was learned with another {unlike[0]}; choose another --out, or remove it")
        if run.facts["state"] == "finished":
            return run
        config = run.config
    progress = Progress(None) if quiet else Progress()
    make_indexer(config).fit(corpus, out=folder, resume=Run.is_begun(folder), progress=progress)
    return Run.open(folder)


def settings_and_sample(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, rest: list[str]
) -> tuple[LearnConfig, Corpus]:
    """The settings that `rest` gives (see `settings_of`), and `arguments.sample` documents of `arguments.files`."""
    try:
        config = from_mapping(settings_of(rest))
    except ValueError as error:
        parser.error(str(error))
    read = Corpus.read(arguments.files, text=config.text, id=config.id, label=config.label, skip_bad=True)
    return config, sample_of(read, arguments.sample, config.seed)


def sample_of(corpus: Corpus, size: int, seed: int) -> Corpus:
    """So many of the documents at random, in their order; 0: all."""
    if not size or size >= len(corpus):
        return corpus
    rows = np.sort(np.random.default_rng(seed).permutation(len(corpus))[:size])
    return Corpus.from_documents((corpus[int(row)] for row in rows), keep_empty=True)


def settings_of(pairs: list[str]) -> dict[str, Any]:
    """Flags and values of LearnConfig, such as ["--sizes", "64,64"], as its keys. Raises ValueError on half a pair."""
    if len(pairs) % 2:
        raise ValueError("settings are given as pairs, such as --sizes 64,64")
    flags, values = pairs[::2], pairs[1::2]
    return {flag.removeprefix("--").replace("-", "_"): value_of(v) for flag, v in zip(flags, values, strict=True)}


def settings_in(pairs: list[str]) -> dict[str, Any]:
    """Settings as KEY=VALUE, such as ["sizes=64,64"], as its keys. Raises ValueError for what is no such pair."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ValueError(f"{pair!r} is no setting; give KEY=VALUE, such as epochs=3")
        found[key.replace("-", "_")] = value_of(value)
    return found


def value_of(text: str) -> Any:
    """A number or a list as JSON has it, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
