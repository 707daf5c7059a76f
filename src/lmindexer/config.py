"""The settings of learning and of fine-tuning.

Defaults are what measured best within minutes on two CPU cores (docs/log.md); recipes/paper-t5.toml
holds the paper's own (Table 9).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmindexer.errors import InputError
from lmindexer.settings import check_settings, fill, parse, setting

DATA, MODEL, LOSS, SCHEDULE, MACHINE = "Documents", "Model", "Objective", "Training", "Machine"
TWO_STEP = "Other indexers: embed, then quantise"
INDEXER_NAMES = ("lmindexer", "rq-vae", "hc", "rq-kmeans", "random")
IMPORTED = "imported"  # the indexer of a run whose IDs were made elsewhere
PAPER = "paper"  # the preset with the terms of the paper and no other


@dataclass(frozen=True)
class LearnConfig:
    """Everything `lmindexer learn` can be told. The same names are TOML keys and, with dashes, flags."""

    text: tuple[str, ...] = setting((), "columns that hold the text, joined in this order", DATA)
    id: str = setting("", "column that holds the document's id (found by itself if it is called id)", DATA)
    label: str = setting("", "column with a category or category path; used to judge, never to learn", DATA)

    indexer: str = setting(
        "lmindexer",
        "what learns the IDs; all but lmindexer embed first and quantise then; 'imported' is of lmindexer import",
        MODEL,
        (*INDEXER_NAMES, IMPORTED),
    )
    sizes: tuple[int, ...] = setting(
        (),
        "codes at each learned position, such as 256,256; where none are given, from the number of documents "
        "(hc has --clusters instead)",
        MODEL,
    )
    backbone: str = setting("bundled", "'bundled', a Hugging Face name or a local folder", MODEL)
    backbone_dtype: str = setting(
        "fp32",
        "precision in which the weights of a pretrained model are held; bf16 takes half the memory, and is for a model "
        "of which nothing learns",
        MODEL,
        ("fp32", "bf16"),
    )
    encoder: str = setting(
        "frozen", "how much of the pretrained encoder learns: nothing, its --top-layers, or all", MODEL,
        ("frozen", "top", "full"),
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL)
    decoder_layers: int = setting(2, "layers of the small decoder put on a backbone that only reads", MODEL)
    reconstructor_layers: int = setting(1, "layers of the reconstructor (Eq. 5)", MODEL)
    max_tokens: int = setting(128, "a document is cut after, or read in pieces of, this many tokens", MODEL)
    long: str = setting(
        "cut",
        "a document of more tokens is cut, or read in pieces, all of them ('pool'; with a frozen encoder)",
        MODEL,
        ("cut", "pool"),
    )
    dropout: float = setting(
        0.1, "dropout of all that learns: the reconstructor, the decoder, a backbone's own layers", MODEL
    )
    weigh_tokens: bool = setting(True, "common telling words count more than rare ones", MODEL, presets={PAPER: False})

    objective: str = setting(
        "default",
        "'paper': exactly the paper's terms; 'default': ours beside them; a setting that is given wins over either",
        LOSS,
        ("default", PAPER),
    )
    hints: tuple[float, ...] = setting((0.5, 0.3), "share of tokens shown to the reconstructor, per position", LOSS)
    reconstruction: float = setting(1.0, "weight of the reconstruction loss (Eq. 8); 0: off", LOSS)
    contrastive: float = setting(1.0, "weight of the contrastive loss (Eq. 9); 0: off", LOSS)
    temperature: float = setting(0.05, "of the contrastive loss, in cosines: lower, only near documents repel", LOSS)
    commitment: float = setting(1.0, "weight of the commitment loss (Eq. 10); 0: off", LOSS)
    alignment: tuple[float, ...] = setting(
        (20.0, 1.0), "weight of keeping h^t at the document's own vector, per position (not in the paper); 0: off",
        LOSS, presets={PAPER: (0.0,)},
    )  # fmt: skip
    spread: float = setting(
        0.8,
        "after c1, documents of one path aim at different codes unless their vectors' cosine is at least this "
        "(not in the paper); 0: off",
        LOSS,
        presets={PAPER: 0.0},
    )
    softmax: str = setting(
        "batch", "rebuild tokens against those of the batch or the full vocabulary", LOSS, ("batch", "full"),
        presets={PAPER: "full"},
    )  # fmt: skip
    gradient_temperature: float = setting(
        1.0, "of the softmax whose gradient stands for that of a code (Eq. 6): higher, more of it reaches h^t", LOSS,
        presets={PAPER: 1.0},
    )  # fmt: skip
    center: bool = setting(
        False, "after c1, h^t is seen from the mean of the documents of the same first code, not of all", LOSS
    )
    crowding: float = setting(
        0.5,
        "first codes may be as uneven as the documents are: weight of a cluster's log share; 0: K-means",
        LOSS,
        presets={PAPER: 0.0},
    )
    restart_dead_codes: bool = setting(
        True, "give a code that no document uses a new start", LOSS, presets={PAPER: False}
    )

    reconstructor_epochs: int = setting(3, "epochs of the reconstructor warm-up (Eq. 12); 0: none", SCHEDULE)
    warmup_epochs: int = setting(2, "epochs of the encoder warm-up per position (Eq. 13); 0: none", SCHEDULE)
    epochs: int = setting(8, "epochs of full training per position (Eq. 11)", SCHEDULE)
    settle_epochs: int = setting(
        2, "last epochs on the commitment alone, so that the model ends giving the table's codes", SCHEDULE,
        presets={PAPER: 0},
    )  # fmt: skip
    batch_size: int = setting(128, "documents a step", SCHEDULE)
    learning_rate: float = setting(1e-3, "learning rate of the reconstructor", SCHEDULE)
    indexer_learning_rate: tuple[float, ...] = setting(
        (5e-5, 2e-4), "learning rate of the small decoder and the codebooks, per position", SCHEDULE,
        presets={PAPER: (1e-3,)},
    )  # fmt: skip
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
        fill(self, self.objective)
        _check(self)

    def replace(self, **changes: Any) -> "LearnConfig":
        """This config with some settings changed, given as in a recipe; another objective brings its own settings."""
        another = changes.get("objective", self.objective) != self.objective
        kept = [f for f in dataclasses.fields(self) if not (another and f.metadata["presets"])]
        return from_mapping({f.name: getattr(self, f.name) for f in kept} | changes)

    @property
    def may_pool(self) -> bool:
        """Whether documents can be read in pieces: not where an encoder learns from gradients through all of them."""
        return self.indexer != "lmindexer" or self.encoder == "frozen"

    def at(self, name: str, position: int) -> float:
        """A setting that is given per position; the last one given holds for all that follow."""
        given = getattr(self, name)
        return float(given[min(position, len(given) - 1)])


def from_mapping(values: Mapping[str, Any], origin: str = "the settings") -> LearnConfig:
    """`settings.parse` of a LearnConfig."""
    return parse(LearnConfig, values, origin)


def _check(config: LearnConfig) -> None:
    if min(config.sizes, default=1) < 1:
        raise InputError(f"sizes must be one or more numbers of codes, such as 256,256, not {config.sizes}")
    if not config.hints or not all(0 <= ratio < 1 for ratio in config.hints):
        raise InputError(f"hints must be shares from 0 to below 1, such as 0.5,0.3, not {config.hints}")
    if config.clusters < 2:
        raise InputError(f"clusters must be at least 2, not {config.clusters}")
    if config.dropout >= 1:
        raise InputError(f"dropout must be below 1, not {config.dropout}")
    if config.long == "pool" and not config.may_pool:
        raise InputError(
            f"long pool reads documents in pieces once, with a frozen encoder, and encoder is {config.encoder}; leave "
            "one of the two out"
        )
    learns = config.encoder != "frozen" if config.indexer == "lmindexer" else config.embeddings == "simcse"
    if config.backbone_dtype == "bf16" and learns:
        part = f"encoder {config.encoder}" if config.indexer == "lmindexer" else "embeddings simcse"
        raise InputError(
            f"backbone_dtype bf16 is for what does not learn, and with {part} the backbone does; leave one of them out"
        )
    positive = (
        "max_tokens",
        "batch_size",
        "epochs",
        "decoder_layers",
        "reconstructor_layers",
        "learning_rate",
        "clip",
        "temperature",
        "gradient_temperature",
        "simcse_epochs",
        "leaf",
        "vae_latent",
        "vae_epochs",
    )
    check_settings(config, positive)


TASK = "Task"
TASKS = ("search", "recommend")


@dataclass(frozen=True)
class FinetuneConfig:
    """Everything `lmindexer finetune` can be told: how a model learns to give IDs to histories or queries (Eq. 14)."""

    task: str = setting("search", "what the IDs are given to: a query, or a user's history", TASK, TASKS)
    history: str = setting(
        "both",
        "recommend: what is read of the items: 'tokens', their texts one after another (the paper's way); or one "
        "vector an item, of its 'text', its 'ids' or 'both'",
        TASK,
        ("tokens", "text", "ids", "both"),
    )
    max_items: int = setting(20, "recommend: so many of the newest items are read", TASK)
    samples: int = setting(
        0, "recommend: train on so many pairs a user, drawn from the last three (the paper: 5); 0: on all", TASK
    )
    documents: float = setting(
        1.0, "search: share of the documents that is read in every epoch, too, to give their own IDs; 0: none", TASK
    )
    held_out: float = setting(
        0.02,
        "share of the documents (30 to 300) kept out of training until its end, to find out how far documents that "
        "come later are to be favoured; 0: none",
        TASK,
    )

    suffix: bool = setting(True, "also learn the last position, which tells apart documents of one path", MODEL)
    encoder: str = setting(
        "auto", "how much of the encoder learns; auto: full, but none of it where items are vectors", MODEL,
        ("auto", "frozen", "top", "full"),
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL)
    history_layers: int = setting(1, "layers in which the items of a history see each other", MODEL)
    max_tokens: int = setting(128, "a query, or the texts of a history, are cut after this many tokens", MODEL)
    dropout: float = setting(
        0.1, "dropout of all that learns: the decoder, what reads histories, a backbone's own layers", MODEL
    )

    warmup_epochs: int = setting(
        10, "first read each document and give its ID, so that IDs of any indexer start known; 0: none", SCHEDULE
    )
    epochs: int = setting(10, "epochs of Eq. 14 at most", SCHEDULE)
    patience: int = setting(3, "stop after so many epochs without a better --dev-metric; 0: never", SCHEDULE)
    dev_metric: str = setting("recall@10", "chooses the epoch and the learning rate", SCHEDULE)
    dev_queries: int = setting(2000, "how many of the dev queries or users to ask after each epoch", SCHEDULE)
    batch_size: int = setting(128, "queries or histories a step", SCHEDULE)
    lr: tuple[float, ...] = setting(
        (5e-4,), "learning rate; of several each is tried, and the best by --dev-metric kept", SCHEDULE
    )
    encoder_learning_rate: float = setting(5e-5, "learning rate of a pretrained backbone's own layers", SCHEDULE)
    label_smoothing: float = setting(0.0, "share of a target spread over all codes of its position", SCHEDULE)
    weight_decay: float = setting(0.01, "AdamW weight decay", SCHEDULE)
    clip: float = setting(1.0, "gradients are clipped to this norm", SCHEDULE)

    beams: int = setting(20, "prefixes of IDs that a search keeps at each position", MACHINE)
    seed: int = setting(0, "the same seed on a CPU gives the same model", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, ("auto", "fp32", "bf16"))
    checkpoint_seconds: float = setting(60.0, "time between checkpoints; more where writing one is slow", MACHINE)

    @property
    def reads_vectors(self) -> bool:
        """Whether an item of a history is one vector, read once."""
        return self.task == "recommend" and self.history != "tokens"

    def __post_init__(self) -> None:
        for name in ("dropout", "label_smoothing", "held_out"):
            if getattr(self, name) >= 1:
                raise InputError(f"{name} must be below 1, not {getattr(self, name)}")
        if not all(rate > 0 for rate in self.lr):
            raise InputError(f"lr must be above 0, not {','.join(map(str, self.lr))}")
        if self.documents > 1:
            raise InputError(f"documents is a share from 0 to 1, not {self.documents}")
        if self.reads_vectors and self.encoder in ("top", "full"):
            raise InputError(
                f"encoder {self.encoder} has nothing to learn from: with history {self.history} the items' texts are "
                "read once; leave it out, or choose history tokens"
            )
        positive = ("max_items", "max_tokens", "epochs", "dev_queries", "batch_size", "clip", "beams")
        check_settings(self, positive)
