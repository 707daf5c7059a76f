"""The settings of a run: one frozen dataclass <-> TOML <-> command-line flags. An unknown key is an error.

Defaults are what measured best within minutes on two CPU cores (docs/log.md); recipes/paper-t5.toml
holds the paper's own (Table 9).
"""

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

from lmindexer.errors import InputError


def setting(default: Any, help: str, group: str, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field that also carries what `--help` says of it."""
    return field(default=default, metadata={"help": help, "group": group, "choices": choices})


DATA, MODEL, LOSS, SCHEDULE, MACHINE = "Documents", "Model", "Objective", "Training", "Machine"
TWO_STEP = "Other indexers: embed, then quantise"
INDEXER_NAMES = ("lmindexer", "rq-vae", "hc", "rq-kmeans", "random")


@dataclass(frozen=True)
class LearnConfig:
    """Everything `lmindexer learn` can be told. The same names are TOML keys and, with dashes, flags."""

    text: tuple[str, ...] = setting((), "columns that hold the text, joined in this order", DATA)
    id: str = setting("", "column that holds the document's id (found by itself if it is called id)", DATA)
    label: str = setting("", "column with a category or category path; used to judge, never to learn", DATA)

    indexer: str = setting(
        "lmindexer", "what learns the IDs; all but lmindexer embed first and quantise then", MODEL, INDEXER_NAMES
    )
    sizes: tuple[int, ...] = setting((256, 256), "codes at each learned position; not of hc, see --clusters", MODEL)
    backbone: str = setting("bundled", "'bundled', a Hugging Face name or a local folder", MODEL)
    encoder: str = setting(
        "auto", "how much of the encoder learns; auto: frozen on a CPU, full on a GPU", MODEL,
        ("auto", "frozen", "top", "full"),
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL)
    decoder_layers: int = setting(2, "layers of the small decoder put on an encoder-only backbone", MODEL)
    reconstructor_layers: int = setting(1, "layers of the reconstructor (Eq. 5)", MODEL)
    max_tokens: int = setting(128, "a document is cut after this many tokens", MODEL)
    dropout: float = setting(0.1, "dropout of the decoder and the reconstructor", MODEL)
    weigh_tokens: bool = setting(True, "common telling words count more than rare ones", MODEL)

    hints: tuple[float, ...] = setting((0.5, 0.3), "share of tokens shown to the reconstructor, per position", LOSS)
    reconstruction: float = setting(1.0, "weight of the reconstruction loss (Eq. 8); 0: off", LOSS)
    contrastive: float = setting(1.0, "weight of the contrastive loss (Eq. 9); 0: off", LOSS)
    temperature: float = setting(0.05, "of the contrastive loss, in cosines: lower, only near documents repel", LOSS)
    commitment: float = setting(1.0, "weight of the commitment loss (Eq. 10); 0: off", LOSS)
    alignment: tuple[float, ...] = setting(
        (20.0, 1.0), "weight of keeping h^t at the document's own vector, per position (not in the paper); 0: off", LOSS
    )
    spread: float = setting(
        0.8,
        "after c1, documents of one path aim at different codes unless their vectors' cosine is at least this "
        "(not in the paper); 0: off",
        LOSS,
    )
    softmax: str = setting(
        "batch", "rebuild tokens against those of the batch or the full vocabulary", LOSS, ("batch", "full")
    )
    center: bool = setting(False, "K-means at later positions on vectors centred by prefix", LOSS)
    crowding: float = setting(
        0.5,
        "first codes may be as uneven as the documents are: weight of a cluster's log share; 0: K-means",
        LOSS,
    )
    restart_dead_codes: bool = setting(True, "give a code that no document uses a new start", LOSS)

    reconstructor_epochs: int = setting(3, "epochs of the reconstructor warm-up (Eq. 12); 0: none", SCHEDULE)
    warmup_epochs: int = setting(2, "epochs of the encoder warm-up per position (Eq. 13); 0: none", SCHEDULE)
    epochs: int = setting(8, "epochs of full training per position (Eq. 11)", SCHEDULE)
    settle_epochs: int = setting(
        2, "last epochs on the commitment alone, so that the model ends giving the table's codes", SCHEDULE
    )
    batch_size: int = setting(128, "documents a step", SCHEDULE)
    learning_rate: float = setting(1e-3, "learning rate of the reconstructor", SCHEDULE)
    indexer_learning_rate: tuple[float, ...] = setting(
        (5e-5, 2e-4), "learning rate of the small decoder and the codebooks, per position", SCHEDULE
    )
    encoder_learning_rate: float = setting(5e-5, "learning rate of a pretrained backbone's own layers", SCHEDULE)
    weight_decay: float = setting(0.01, "AdamW weight decay", SCHEDULE)
    clip: float = setting(1.0, "gradients are clipped to this norm", SCHEDULE)

    embeddings: str = setting(
        "bundled",
        "'bundled', a sentence-transformers or Hugging Face encoder by name or folder, or 'simcse': --backbone, "
        "first trained on the corpus without labels",
        TWO_STEP,
    )
    simcse_epochs: int = setting(1, "epochs of --embeddings simcse", TWO_STEP)
    simcse_learning_rate: float = setting(3e-5, "learning rate of --embeddings simcse", TWO_STEP)
    clusters: int = setting(10, "hc: clusters at each level", TWO_STEP)
    leaf: int = setting(100, "hc: a cluster of at most so many documents is not divided again", TWO_STEP)
    vae_latent: int = setting(32, "rq-vae: width of what is quantised", TWO_STEP)
    vae_epochs: int = setting(100, "rq-vae: epochs", TWO_STEP)
    vae_learning_rate: float = setting(3e-3, "rq-vae: learning rate", TWO_STEP)

    seed: int = setting(0, "the same seed on a CPU gives the same IDs", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, ("auto", "fp32", "bf16"))
    checkpoint_seconds: float = setting(60.0, "time between checkpoints; more where writing one is slow", MACHINE)

    def __post_init__(self) -> None:
        _check(self)

    def replace(self, **changes: Any) -> "LearnConfig":
        """This config with some settings changed, given as in a recipe."""
        return from_mapping({f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | changes)

    def at(self, name: str, position: int) -> float:
        """A setting that is given per position; the last one given holds for all that follow."""
        given = getattr(self, name)
        return float(given[min(position, len(given) - 1)])


def from_mapping(values: Mapping[str, Any], origin: str = "the settings") -> LearnConfig:
    """A config from TOML or Python values; raises InputError naming the key that is wrong."""
    known = {f.name: f for f in dataclasses.fields(LearnConfig)}
    typed = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise InputError(f"{origin}: unknown key {key!r}; {hint}")
        typed[name] = _typed(known[name], value, origin)
    try:
        return LearnConfig(**typed)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a recipe; raises InputError when it is missing or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no recipe {path}; name a TOML file such as recipes/beauty.toml") from None
    except IsADirectoryError:
        raise InputError(f"the recipe {path} is a folder; name a TOML file in it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None


def to_toml(config: LearnConfig) -> str:
    """The resolved config as TOML that `--config` reads back."""
    lines = []
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        lines.append(f"{f.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the one character that JSON allows bare and TOML does not


def element_type(f: "dataclasses.Field[Any]") -> tuple[type, bool]:
    """The scalar type of a field and whether the field is a comma-separated list of it."""
    hint: Any = f.type
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return hint, False


def _typed(f: "dataclasses.Field[Any]", value: Any, origin: str) -> Any:
    kind, many = element_type(f)
    try:
        if not many:
            return _scalar(kind, value)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(_scalar(kind, v) for v in values)
    except (TypeError, ValueError, OverflowError):
        wanted = f"a list of {kind.__name__}" if many else kind.__name__
        raise InputError(f"{origin}: {f.name} must be {wanted}, not {value!r}") from None


def _scalar(kind: type, value: Any) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if kind is str and not isinstance(value, str):
        raise TypeError
    if isinstance(value, bool) or (kind is int and float(value) != int(value)):
        raise TypeError
    return kind(value)


def _check(config: LearnConfig) -> None:
    for f in dataclasses.fields(config):
        choices = f.metadata["choices"]
        if choices and getattr(config, f.name) not in choices:
            raise InputError(f"{f.name} must be one of {', '.join(choices)}, not {getattr(config, f.name)!r}")
    if not config.sizes or min(config.sizes) < 1:
        raise InputError(f"sizes must be one or more numbers of codes, such as 256,256, not {config.sizes}")
    if not config.hints or not all(0 <= ratio < 1 for ratio in config.hints):
        raise InputError(f"hints must be shares from 0 to below 1, such as 0.5,0.3, not {config.hints}")
    if config.clusters < 2:
        raise InputError(f"clusters must be at least 2, not {config.clusters}")
    if config.dropout >= 1:
        raise InputError(f"dropout must be below 1, not {config.dropout}")
    positive = (
        "max_tokens",
        "batch_size",
        "epochs",
        "decoder_layers",
        "reconstructor_layers",
        "learning_rate",
        "clip",
        "temperature",
        "simcse_epochs",
        "leaf",
        "vae_latent",
        "vae_epochs",
    )
    for name in positive:
        if not getattr(config, name) > 0:
            raise InputError(f"{name} must be above 0, not {getattr(config, name)}")
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int | float)]
        if not all(v >= 0 for v in numbers):
            raise InputError(f"{f.name} must not be negative, but is {_shown(value)}")
        if isinstance(value, tuple) and not value and element_type(f)[0] is not str:
            raise InputError(f"{f.name} must have at least one number")


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
