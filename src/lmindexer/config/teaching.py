"""The settings of teaching a method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lmindexer.config.learning import MACHINE, MODEL, SCHEDULE
from lmindexer.errors import InputError
from lmindexer.settings import check_settings, fill, setting

TASK = "Task"
TASKS = ("search", "recommend")
SEQUENTIAL = ("sasrec", "gru4rec", "bert4rec", "hgn", "fdsa", "fmlp")  # read items in order, one embedding each
METHODS_TAUGHT = ("generative", *SEQUENTIAL)
RECOMMEND, GENERATIVE = ("recommend",), ("generative",)
IDS_TO_RECOMMEND, IDS_TO_SEARCH = ("generative to recommend",), ("generative to search",)  # both must hold
SEQUENCES = "Sequences"
DROPOUT = {"sasrec": 0.6, "gru4rec": 0.5, "bert4rec": 0.5, "hgn": 0.5, "fdsa": 0.6, "fmlp": 0.5}
RENAMED = {"lr": "learning_rate", "history": "items", "documents": "document_share"}  # on 2026-11-26


@dataclass(frozen=True)
class FinetuneConfig:
    """Everything `lmindexer finetune` can be told: how a method learns to answer queries or histories.

    A setting that says `of` counts for these tasks and methods alone.
    """

    renamed: ClassVar[Mapping[str, str]] = RENAMED

    method: str = setting(
        "generative",
        "what is taught: a model that gives IDs (Eq. 14), or one of six networks that read a user's items in order",
        TASK,
        METHODS_TAUGHT,
    )
    task: str = setting("search", "what is asked: a query, or a user's history", TASK, TASKS)
    items: str = setting(
        "both",
        "what is read of the items of a history: 'tokens', their texts one after another (the paper's way); or one "
        "vector an item, of its 'text', its 'ids' or 'both'",
        TASK,
        ("tokens", "text", "ids", "both"),
        of=IDS_TO_RECOMMEND,
    )
    max_items: int = setting(
        20, "so many of the newest items are read", TASK, presets=dict.fromkeys(SEQUENTIAL, 50), of=RECOMMEND
    )
    samples: int = setting(
        0,
        "train on so many pairs a user, drawn from the last three (the paper: 5); 0: on all",
        TASK,
        of=IDS_TO_RECOMMEND,
    )
    document_share: float = setting(
        1.0,
        "share of the documents that is read in every epoch, too, to give their own IDs; 0: none",
        TASK,
        of=IDS_TO_SEARCH,
    )
    held_out: float = setting(
        0.02,
        "share of the documents (30 to 300) kept out of training until its end, to find out how far documents that "
        "come later are to be favoured; 0: none",
        TASK,
        of=GENERATIVE,
    )

    suffix: bool = setting(
        True, "also learn the last position, which tells apart documents of one path", MODEL, of=GENERATIVE
    )
    encoder: str = setting(
        "auto", "how much of the encoder learns; auto: full, but none of it where items are vectors", MODEL,
        ("auto", "frozen", "top", "full"), of=GENERATIVE,
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL, of=GENERATIVE)
    history_layers: int = setting(
        1, "layers in which the items of a history see each other", MODEL, of=IDS_TO_RECOMMEND
    )
    max_tokens: int = setting(
        128, "a query, or the texts of a history, are cut after this many tokens", MODEL, of=GENERATIVE
    )
    dropout: float = setting(
        0.1,
        "dropout of all that learns: the decoder, what reads histories, a backbone's own layers",
        MODEL,
        presets=DROPOUT,
    )

    dim: int = setting(64, "width of an item's embedding and of the network", SEQUENCES, of=SEQUENTIAL)
    layers: int = setting(
        2,
        "layers of the network",
        SEQUENCES,
        presets={"gru4rec": 1},
        of=("sasrec", "gru4rec", "bert4rec", "fdsa", "fmlp"),
    )
    heads: int = setting(1, "attention heads", SEQUENCES, of=("sasrec", "bert4rec", "fdsa"))
    loss: str = setting(
        "ce",
        "over all items (ce), over the wanted one and --negatives (sampled), or binary against these (bce)",
        SEQUENCES,
        ("ce", "sampled", "bce"),
        of=SEQUENTIAL,
    )
    negatives: int = setting(256, "items drawn beside each wanted one, unless --loss ce", SEQUENCES,
                             presets={"bce": 1}, of=("--loss sampled", "--loss bce"))  # fmt: skip
    mask_share: float = setting(0.3, "share of a history's items that is hidden", SEQUENCES, of=("bert4rec",))

    warmup_epochs: int = setting(
        10, "first read each document and give its ID, so that IDs of any indexer start known; 0: none",
        SCHEDULE, of=GENERATIVE,
    )  # fmt: skip
    epochs: int = setting(10, "epochs at most", SCHEDULE, presets=dict.fromkeys(SEQUENTIAL, 200))
    patience: int = setting(3, "stop after so many epochs without a better --dev-metric; 0: never", SCHEDULE,
                            presets=dict.fromkeys(SEQUENTIAL, 10))  # fmt: skip
    dev_metric: str = setting("recall@10", "chooses the epoch and the learning rate", SCHEDULE)
    dev_queries: int = setting(2000, "how many of the dev queries or users to ask after each epoch", SCHEDULE)
    batch_size: int = setting(128, "queries or histories a step", SCHEDULE, presets=dict.fromkeys(SEQUENTIAL, 512))
    learning_rate: tuple[float, ...] = setting(
        (5e-4,), "learning rate; of several each is tried, and the best by --dev-metric kept", SCHEDULE
    )
    encoder_learning_rate: float = setting(
        5e-5, "learning rate of a pretrained backbone's own layers", SCHEDULE, of=GENERATIVE
    )
    label_smoothing: float = setting(
        0.0, "share of a target spread over all codes of its position", SCHEDULE, of=GENERATIVE
    )
    weight_decay: float = setting(0.01, "AdamW weight decay", SCHEDULE, presets=dict.fromkeys(SEQUENTIAL, 0.0))
    clip: float = setting(1.0, "gradients are clipped to this norm", SCHEDULE)

    beams: int = setting(20, "prefixes of IDs that a search keeps at each position", MACHINE, of=GENERATIVE)
    seed: int = setting(0, "the same seed on a CPU gives the same model", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE)
    precision: str = setting("auto", "auto: bfloat16 where the machine does it well", MACHINE, ("auto", "fp32", "bf16"))
    checkpoint_seconds: float = setting(60.0, "time between checkpoints; more where writing one is slow", MACHINE)

    @property
    def scopes(self) -> frozenset[str]:
        """What `of` a setting may name so that the setting counts."""
        task = "recommend" if self.method in SEQUENTIAL else self.task
        losses = (f"--loss {self.loss}",) if self.method in SEQUENTIAL else ()
        return frozenset({task, self.method, self.title, *losses})

    @property
    def title(self) -> str:
        """What the settings are of."""
        return f"{self.method} to {self.task}"

    @property
    def reads_vectors(self) -> bool:
        """Whether an item of a history is one vector, read once."""
        return self.method == "generative" and self.task == "recommend" and self.items != "tokens"

    def __post_init__(self) -> None:
        fill(self, self.method, self.loss)
        for name in ("dropout", "label_smoothing", "held_out"):
            if getattr(self, name) >= 1:
                raise InputError(f"{name} must be below 1, not {getattr(self, name)}")
        if not all(rate > 0 for rate in self.learning_rate):
            raise InputError(f"learning_rate must be above 0, not {','.join(map(str, self.learning_rate))}")
        if self.document_share > 1:
            raise InputError(f"document_share is a share from 0 to 1, not {self.document_share}")
        if self.reads_vectors and self.encoder in ("top", "full"):
            raise InputError(
                f"encoder {self.encoder} has nothing to learn from: with items {self.items} the items' texts are "
                "read once; leave it out, or choose items tokens"
            )
        positive = ("max_items", "max_tokens", "epochs", "dev_queries", "batch_size", "clip", "beams", "dim", "layers",
                    "heads", "negatives")  # fmt: skip
        check_settings(self, positive)
        if self.dim % self.heads:
            raise InputError(f"dim {self.dim} must be a multiple of heads, {self.heads}")
        if not 0 < self.mask_share < 1:
            raise InputError(f"mask_share must be above 0 and below 1, not {self.mask_share}")
