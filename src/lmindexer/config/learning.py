"""The settings of learning IDs.

Defaults are what measured best within minutes on two CPU cores (docs/log.md); recipes/paper-t5.toml
holds the paper's own (Table 9).
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmindexer.errors import InputError
from lmindexer.settings import check_settings, fill, parse, setting

DATA, MODEL, LOSS, SCHEDULE, MACHINE = "Documents", "Model", "Objective", "Training", "Machine"
EMBEDDED, SIMCSE, HC, RQ_VAE = "Embeddings", "SimCSE", "Hierarchical clustering", "RQ-VAE"
INDEXER_NAMES = ("lmindexer", "rq-vae", "hc", "rq-kmeans", "random")
IMPORTED = "imported"  # the indexer of a run whose IDs were made elsewhere
NO_IDS = "none"  # the indexer of a run that has documents alone
PAPER = "paper"  # the preset with the terms of the paper and no other
GIVEN = "given vectors"  # the embeddings of a run that Python code gave its vectors to
VECTOR_FILE = re.compile(r".*\.(npy|npz|parquet(:.+)?)", re.IGNORECASE | re.DOTALL)  # a column of it behind the colon

OWN = ("lmindexer",)
LEARNED = ("lmindexer", "simcse")  # where a pretrained model learns
OPTIMISED = ("lmindexer", "simcse", "rq-vae")  # where anything is learned by gradients
WITH_SIZES = ("lmindexer", "rq-vae", "rq-kmeans", "random")
EMBED_FIRST = ("rq-vae", "hc", "rq-kmeans")
PRETRAINED = ("lmindexer", *EMBED_FIRST)


@dataclass(frozen=True)
class DocumentSettings:
    """What every indexer is told of the documents and of the IDs."""

    text: tuple[str, ...] = setting((), "columns that hold the text, joined in this order", DATA)
    id: str = setting("", "column that holds the document's id (found by itself if it is called id)", DATA)
    label: str = setting("", "column with a category or category path; used to judge, never to learn", DATA)

    indexer: str = setting(
        "lmindexer",
        "what learns the IDs; all but lmindexer embed first and quantise then; 'none': a run of documents without IDs; "
        "'imported' is of lmindexer import",
        MODEL,
        (*INDEXER_NAMES, NO_IDS, IMPORTED),
    )
    sizes: tuple[int, ...] = setting(
        (),
        "codes at each learned position, such as 256,256; where none are given, from the number of documents",
        MODEL,
        of=WITH_SIZES,
    )
    max_tokens: int = setting(128, "a document is cut after, or read in pieces of, this many tokens", MODEL)
    long: str = setting(
        "cut",
        "a document of more tokens is cut, or read in pieces, all of them ('pool'; with a frozen encoder)",
        MODEL,
        ("cut", "pool"),
    )
    backbone_dtype: str = setting(
        "fp32",
        "precision in which the weights of a pretrained model are held; bf16 takes half the memory, and is for a model "
        "of which nothing learns",
        MODEL,
        ("fp32", "bf16"),
        of=PRETRAINED,
    )
    decoder_layers: int = setting(
        2, "layers of the small decoder put on a backbone that only reads", MODEL, of=(*INDEXER_NAMES, IMPORTED)
    )


@dataclass(frozen=True)
class PretrainedSettings:
    """How pretrained models learn, in LMIndexer and in SimCSE, and what else is optimised."""

    backbone: str = setting("bundled", "'bundled', a Hugging Face name or a local folder", MODEL, of=LEARNED)
    dropout: float = setting(
        0.1, "dropout of all that learns: the reconstructor, the decoder, a backbone's own layers", MODEL, of=LEARNED
    )
    batch_size: int = setting(128, "documents a step", SCHEDULE, of=OPTIMISED)
    weight_decay: float = setting(0.01, "AdamW weight decay", SCHEDULE, of=OPTIMISED)
    clip: float = setting(1.0, "gradients are clipped to this norm", SCHEDULE, of=OPTIMISED)

    checkpoint_seconds: float = setting(
        60.0, "time between checkpoints; more where writing one is slow", MACHINE, of=LEARNED
    )


@dataclass(frozen=True)
class LMIndexerSettings:
    """The indexer of the paper."""

    encoder: str = setting(
        "frozen", "how much of the pretrained encoder learns: nothing, its --top-layers, or all", MODEL,
        ("frozen", "top", "full"), of=OWN,
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL, of=OWN)
    reconstructor_layers: int = setting(1, "layers of the reconstructor (Eq. 5)", MODEL, of=OWN)
    weigh_tokens: bool = setting(
        True, "common telling words count more than rare ones", MODEL, presets={PAPER: False}, of=OWN
    )
    weight_exponent: tuple[float, ...] = setting(
        (0.35,),
        "with --weigh-tokens, how much more common words count than rare ones, from 0 on; of several, that with which "
        "half a document best finds its other half, on a sample of the documents",
        MODEL,
        of=OWN,
    )

    objective: str = setting(
        "default",
        "'paper': exactly the paper's terms; 'default': ours beside them; a setting that is given wins over either",
        LOSS,
        ("default", PAPER),
        of=OWN,
    )
    hints: tuple[float, ...] = setting(
        (0.5, 0.3), "share of tokens shown to the reconstructor, per position", LOSS, of=OWN
    )
    rebuilt_tokens: int = setting(
        8, "hidden tokens that a document rebuilds at a step, drawn at random; 0: all", LOSS, presets={PAPER: 0}, of=OWN
    )
    reconstruction: float = setting(1.0, "weight of the reconstruction loss (Eq. 8); 0: off", LOSS, of=OWN)
    contrastive: float = setting(1.0, "weight of the contrastive loss (Eq. 9); 0: off", LOSS, of=OWN)
    temperature: float = setting(
        0.05, "of the contrastive loss, in cosines: lower, only near documents repel", LOSS, of=OWN
    )
    view: str = setting(
        "dropout",
        "the second view of a document in the contrastive loss: the same text under another dropout mask (the paper), "
        "or a part of it, about half, that the encoder reads by itself",
        LOSS,
        ("dropout", "crop"),
        presets={PAPER: "dropout"},
        of=OWN,
    )
    commitment: float = setting(1.0, "weight of the commitment loss (Eq. 10); 0: off", LOSS, of=OWN)
    commit_crop: float = setting(
        0.0, "weight of the same loss of a part of the document, which must lead to the codes of the whole (not in the "
        "paper); 0: off", LOSS, presets={PAPER: 0.0}, of=OWN,
    )  # fmt: skip
    alignment: tuple[float, ...] = setting(
        (20.0, 1.0), "weight of keeping h^t at the document's own vector, per position (not in the paper); 0: off",
        LOSS, presets={PAPER: (0.0,)}, of=OWN,
    )  # fmt: skip
    spread: float = setting(
        0.8,
        "after c1, documents of one path aim at different codes unless their vectors' cosine is at least this "
        "(not in the paper); 0: off",
        LOSS,
        presets={PAPER: 0.0},
        of=OWN,
    )
    softmax: str = setting(
        "batch", "rebuild tokens against those of the batch or the full vocabulary", LOSS, ("batch", "full"),
        presets={PAPER: "full"}, of=OWN,
    )  # fmt: skip
    gradient_temperature: float = setting(
        1.0, "of the softmax whose gradient stands for that of a code (Eq. 6): higher, more of it reaches h^t", LOSS,
        presets={PAPER: 1.0}, of=OWN,
    )  # fmt: skip
    center: bool = setting(
        False, "after c1, h^t is seen from the mean of the documents of the same first code, not of all", LOSS, of=OWN
    )
    crowding: float = setting(
        0.5,
        "first codes may be as uneven as the documents are: weight of a cluster's log share; 0: K-means",
        LOSS,
        presets={PAPER: 0.0},
        of=OWN,
    )
    restart_dead_codes: bool = setting(
        True, "give a code that no document uses a new start", LOSS, presets={PAPER: False}, of=OWN
    )

    reconstructor_epochs: int = setting(
        2, "epochs of the reconstructor warm-up (Eq. 12); 0: none", SCHEDULE, presets={PAPER: 3}, of=OWN
    )
    warmup_epochs: int = setting(
        1, "epochs of the encoder warm-up per position (Eq. 13); 0: none", SCHEDULE, presets={PAPER: 2}, of=OWN
    )
    epochs: int = setting(4, "epochs of full training per position (Eq. 11)", SCHEDULE, presets={PAPER: 8}, of=OWN)
    first_epochs: int = setting(
        1, "at most so many of them for c1, whose codes hardly move; 0: as for all positions", SCHEDULE,
        presets={PAPER: 0}, of=OWN,
    )  # fmt: skip
    settle_epochs: int = setting(
        2, "last epochs on the commitment alone, so that the model ends giving the table's codes", SCHEDULE,
        presets={PAPER: 0}, of=OWN,
    )  # fmt: skip
    learning_rate: float = setting(2e-3, "learning rate of the reconstructor", SCHEDULE, presets={PAPER: 1e-3}, of=OWN)
    indexer_learning_rate: tuple[float, ...] = setting(
        (5e-5, 6e-4), "learning rate of the small decoder and the codebooks, per position", SCHEDULE,
        presets={PAPER: (1e-3,)}, of=OWN,
    )  # fmt: skip
    encoder_learning_rate: float = setting(
        5e-5, "learning rate of a pretrained backbone's own layers", SCHEDULE, of=OWN
    )


@dataclass(frozen=True)
class TwoStepSettings:
    """The indexers that embed first and quantise then."""

    embeddings: str = setting(
        "bundled",
        "'bundled', a sentence-transformers or Hugging Face encoder by name or folder, 'simcse' (--backbone, first "
        "trained on the corpus without labels), or a file with one vector a document, .parquet, .npy or .npz, which "
        "lmindexer reads, too",
        EMBEDDED,
        of=(*EMBED_FIRST, "a file of vectors"),
    )
    simcse_epochs: int = setting(1, "epochs", SIMCSE, of=("simcse",))
    simcse_learning_rate: float = setting(3e-5, "learning rate", SIMCSE, of=("simcse",))
    clusters: int = setting(10, "clusters at each level", HC, of=("hc",))
    leaf: int = setting(100, "a cluster of at most so many documents is not divided again", HC, of=("hc",))
    vae_latent: int = setting(32, "width of what is quantised", RQ_VAE, of=("rq-vae",))
    vae_epochs: int = setting(100, "epochs", RQ_VAE, of=("rq-vae",))
    vae_learning_rate: float = setting(3e-3, "learning rate", RQ_VAE, of=("rq-vae",))


@dataclass(frozen=True)
class MachineSettings:
    """Where, and from which seed."""

    seed: int = setting(0, "the same seed on a CPU gives the same IDs", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, ("auto", "fp32", "bf16"))


@dataclass(frozen=True)
class LearnConfig(MachineSettings, TwoStepSettings, LMIndexerSettings, PretrainedSettings, DocumentSettings):
    """Everything `lmindexer learn` can be told. The same names are TOML keys and, with dashes, flags.

    A setting that says `of` counts for these indexers alone ("simcse": for `embeddings = "simcse"`).
    """

    def __post_init__(self) -> None:
        fill(self, self.objective)
        _check(self)

    def replace(self, **changes: Any) -> "LearnConfig":
        """This config with some settings changed, given as in a recipe; another objective brings its own settings."""
        another = changes.get("objective", self.objective) != self.objective
        kept = [f for f in dataclasses.fields(self) if not (another and f.metadata["presets"])]
        return from_mapping({f.name: getattr(self, f.name) for f in kept} | changes)

    @property
    def scopes(self) -> frozenset[str]:
        """What `of` a setting may name so that the setting counts."""
        simcse = self.embeddings == "simcse" and self.indexer in EMBED_FIRST
        names = {
            self.indexer,
            *(("simcse",) if simcse else ()),
            *(("a file of vectors",) if self.given_vectors and self.indexer in INDEXER_NAMES else ()),
        }
        return frozenset(names)

    @property
    def title(self) -> str:
        """What the settings are of."""
        return self.indexer

    @property
    def given_vectors(self) -> bool:
        """Whether users bring one vector a document, and no encoder reads their texts."""
        return self.embeddings == GIVEN or VECTOR_FILE.fullmatch(self.embeddings) is not None

    @property
    def reads_parts(self) -> bool:
        """Whether a loss asks what a part of a document says."""
        return self.commit_crop > 0 or (self.contrastive > 0 and self.view == "crop")

    @property
    def may_pool(self) -> bool:
        """Whether documents can be read in pieces: not where an encoder learns from gradients through all of them."""
        return self.indexer != "lmindexer" or self.encoder == "frozen"

    def epochs_at(self, position: int) -> int:
        """Epochs of full training of a position."""
        return min(self.epochs, self.first_epochs or self.epochs) if position == 0 else self.epochs

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
    if config.given_vectors and config.indexer == "lmindexer" and config.encoder != "frozen":
        raise InputError(
            f"encoder {config.encoder} has nothing to learn from: with embeddings {config.embeddings} the vectors are "
            "read, not the texts; leave one of the two out"
        )
    if config.given_vectors and config.indexer == "lmindexer" and config.reads_parts:
        raise InputError(
            f"view crop and commit_crop read parts of texts, and with embeddings {config.embeddings} the vectors are "
            "read; leave them out"
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
