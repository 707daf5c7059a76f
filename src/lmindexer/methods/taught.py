"""What a run folder says of how it was taught, without its model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmindexer.config import RENAMED, FinetuneConfig
from lmindexer.errors import InputError
from lmindexer.methods.weights import KEPT
from lmindexer.runs import Run
from lmindexer.settings import parse, read_toml

CONFIG = "finetune.toml"
FACTS = "finetune.json"  # how teaching went
RESCORED = "rescored"  # in the weights of a run: those of the method of this name


def is_finetuned(run: Path) -> bool:
    """Whether a run folder holds a model that was taught a task."""
    return Run.is_begun(run) and Run(run).has(CONFIG)


def taught_by(run: Path) -> str:
    """The name of the method that a run folder was taught, or ""."""
    return read_config(run).method if is_finetuned(run) else ""


def read_config(run: Path) -> FinetuneConfig:
    """The settings that it was taught with."""
    values = read_toml(Run(run).file(CONFIG))
    renamed = {RENAMED.get(name, name): value for name, value in values.items()}
    return parse(FinetuneConfig, renamed, str(run / CONFIG))


def open_taught(run: Path) -> tuple[Run, FinetuneConfig]:
    """A run folder whose fine-tuning is finished, and its settings. Raises InputError for another."""
    folder = Run.open(run)
    if folder.facts["state"] != "finished":
        raise InputError(f"the fine-tuning of {run} is not finished; go on with: {folder.way_on}")
    return folder, read_config(run)


def calibrated_novelty(run: Path) -> float | None:
    """What documents that came after fine-tuning gain, in nats; None where an earlier version fine-tuned the run."""
    folder = Run(run)
    facts = folder.read_json(FACTS) if folder.has(FACTS) else {}
    with folder.trusting(FACTS):
        return float(facts["novelty"]) if "novelty" in facts else None


def rescoring_of(run: Path) -> dict[str, Any] | None:
    """What `teaching.rescoring` kept: "weights" by part, "least", and whether they are "better" than IDs on dev.

    None of a run that was not taught to search by IDs, or without rescoring.
    """
    folder = Run(run)
    if taught_by(run) != "generative" or not folder.has(KEPT):
        return None
    with folder.trusting(KEPT):
        kept: dict[str, Any] | None = folder.read_json(KEPT).get(RESCORED)
        if kept is not None:
            return {"weights": dict(kept["weights"]), "least": float(kept["least"]), "better": bool(kept["better"])}
    return None


@contextmanager
def reading_weights(path: Path) -> Iterator[None]:
    """Whatever is odd about a file of weights, or does not fit the model that reads it, is an InputError."""
    from safetensors import SafetensorError

    try:
        yield
    except (FileNotFoundError, SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} cannot be read ({reason}); fine-tune anew") from None
