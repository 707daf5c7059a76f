"""The settings of a model that writes queries: how it writes, and how it is trained to."""

from dataclasses import dataclass
from typing import ClassVar

from lmindexer.config.learning import MACHINE
from lmindexer.errors import InputError
from lmindexer.settings import check_settings, setting

WRITING, TRAINING = "Writing by --model", "Training of --model, with --train"
PRECISIONS = ("auto", "fp32", "bf16")
SAMPLING = ("sampling",)  # where no beams are searched


@dataclass(frozen=True)
class WritingConfig:
    """How a model writes: it draws one token after another, or searches for the likeliest queries by beams.

    The defaults are those of docT5query (Nogueira and Lin, 2019).
    """

    top_k: int = setting(10, "draw from so many of the likeliest tokens; 0: from all", WRITING, of=SAMPLING)
    top_p: float = setting(
        1.0, "of these, draw from the likeliest that have this share of the probability", WRITING, of=SAMPLING
    )
    sampling_temperature: float = setting(
        1.0, "above 1 draws unlikely tokens more often, below 1 less often", WRITING, of=SAMPLING
    )
    beams: int = setting(
        0, "search for the likeliest queries instead, with so many prefixes kept at each step; 1: greedily", WRITING
    )

    seed: int = setting(0, "the same seed on a CPU gives the same queries", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, PRECISIONS)

    @property
    def scopes(self) -> frozenset[str]:
        """What `of` a setting may name so that the setting counts."""
        return frozenset() if self.beams else frozenset(SAMPLING)

    @property
    def title(self) -> str:
        """What the settings are of."""
        return "a search by beams" if self.beams else "sampling"

    def __post_init__(self) -> None:
        check_settings(self, ("top_p", "sampling_temperature"))
        if self.top_p > 1:
            raise InputError(f"top_p is a share from 0 to 1, not {self.top_p}")


@dataclass(frozen=True)
class WriterConfig:
    """How a model is trained to write the query from its document; the learning rate is that of docT5query."""

    max_tokens: int = setting(
        512, "a document is cut after this many tokens, also when the trained model writes later", TRAINING
    )
    epochs: int = setting(10, "epochs at most", TRAINING)
    patience: int = setting(2, "stop after so many epochs without a lower loss of the dev queries; 0: never", TRAINING)
    dev_queries: int = setting(2000, "how many of the dev queries to measure the loss of", TRAINING)
    batch_size: int = setting(32, "queries a step", TRAINING)
    learning_rate: float = setting(1e-4, "learning rate", TRAINING)
    weight_decay: float = setting(0.01, "AdamW weight decay", TRAINING)
    dropout: float = setting(0.1, "dropout of all that learns", TRAINING)
    clip: float = setting(1.0, "gradients are clipped to this norm", TRAINING)
    checkpoint_seconds: float = setting(60.0, "time between checkpoints; more where writing one is slow", TRAINING)

    seed: int = setting(0, "the same seed on a CPU gives the same model", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, PRECISIONS)

    scopes: ClassVar[frozenset[str]] = frozenset()  # every setting counts

    def __post_init__(self) -> None:
        check_settings(self, ("max_tokens", "epochs", "dev_queries", "batch_size", "learning_rate", "clip"))
        if self.dropout >= 1:
            raise InputError(f"dropout must be below 1, not {self.dropout}")
