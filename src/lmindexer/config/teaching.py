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
METHODS_TAUGHT = ("generative", "dual-encoder", "seal", "bm25", *SEQUENTIAL)
DUAL_ENCODER, SEARCH_ALONE = ("dual-encoder",), ("dual-encoder", "seal", "bm25")
NETWORKS = ("networks",)  # what learns by steps; of bm25 two numbers are chosen
RECOMMEND, GENERATIVE, SEAL = ("recommend",), ("generative",), ("seal",)
HISTORIES = "generative to recommend"
WRITES = (*GENERATIVE, *SEAL)  # what generates by a pretrained backbone
IDS_TO_RECOMMEND, IDS_TO_SEARCH = (HISTORIES,), ("generative to search",)  # both must hold
DENSE_LOSS = "--dense-loss"  # where it is above 0
SEQUENCES, NEGATIVES, NGRAMS, WORDS = "Sequences", "Negatives", "N-grams", "Words"
RATE = dict.fromkeys(SEQUENTIAL, (1e-3,)) | {"dual-encoder": (2e-5,), "seal": (1e-3,)}
BATCH = dict.fromkeys(SEQUENTIAL, 512) | {"dual-encoder": 32, "seal": 32}
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
        "what is taught: a model that gives IDs (Eq. 14), an encoder that reads queries and documents apart, one that "
        "gives n-grams of the documents (seal), bm25, whose k1 and b are chosen, or one of six networks that read a "
        "user's items in order",
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
    item_embeddings: bool = setting(
        True, "an item is also an embedding of its own, learned from who took it; else its text and ID alone", TASK,
        of=IDS_TO_RECOMMEND,
    )  # fmt: skip
    dense: float = setting(
        1.0,
        "weight of a second loss, beside that of IDs: the next item is the one whose vector is nearest to the history "
        "(cross-entropy over all items); its score is added in search; 0: IDs alone",
        TASK,
        of=IDS_TO_RECOMMEND,
    )
    id_share: float = setting(
        1.0, "share of the next items whose IDs are learned in an epoch, drawn anew each time", TASK,
        of=IDS_TO_RECOMMEND,
    )  # fmt: skip
    samples: int = setting(
        0,
        "train on so many pairs a user, drawn from the last three (the paper: 5); 0: on all",
        TASK,
        of=IDS_TO_RECOMMEND,
    )
    document_share: float = setting(
        1.0,
        "share of the documents that is read in every epoch, too, to give their own IDs or n-grams; 0: none",
        TASK,
        of=(*IDS_TO_SEARCH, *SEAL),
    )
    held_out: float = setting(
        0.02,
        "share of the documents (30 to 300) kept out of training until its end, to find out how far documents that "
        "come later are to be favoured; 0: none",
        TASK,
        of=GENERATIVE,
    )
    rescore: bool = setting(
        True,
        "pick on dev how much cosines and words count beside IDs, and search by their sum where that is better",
        TASK,
        of=IDS_TO_SEARCH,
    )
    dense_loss: float = setting(
        0.0,
        "how much the encoder's own vectors learn beside the IDs, to be near those of the documents that answer; 0: "
        "the published encoder's vectors stand beside the IDs",
        TASK,
        of=IDS_TO_SEARCH,
    )
    soft_targets: float = setting(
        0.0,
        "share of a query's target that goes to the 100 documents which BM25 and the published encoder find; 0: none",
        TASK,
        of=IDS_TO_SEARCH,
    )

    suffix: bool = setting(
        True, "also learn the last position, which tells apart documents of one path", MODEL, of=GENERATIVE
    )
    encoder: str = setting(
        "auto", "how much of the encoder learns; auto: full, but none of it where items are vectors", MODEL,
        ("auto", "frozen", "top", "full"), of=WRITES,
    )  # fmt: skip
    top_layers: int = setting(2, "encoder layers that learn with --encoder top", MODEL, of=WRITES)
    backbone: str = setting("bundled", "'bundled', a Hugging Face name or a local folder", MODEL,
                            of=(*SEAL, *DUAL_ENCODER))  # fmt: skip
    decoder_layers: int = setting(2, "layers of the small decoder put on a backbone that only reads", MODEL, of=SEAL)
    history_layers: int = setting(
        2, "layers in which the items of a history see each other", MODEL, of=IDS_TO_RECOMMEND
    )
    max_tokens: int = setting(
        128, "a query, the texts of a history, or with dual-encoder a document, are cut after this many tokens", MODEL,
        of=(*WRITES, *DUAL_ENCODER),
    )  # fmt: skip
    dropout: float = setting(
        0.1,
        "dropout of all that learns: the decoder, what reads histories, a backbone's own layers",
        MODEL,
        presets=DROPOUT,
        of=NETWORKS,
    )
    history_dropout: float = setting(0.5, "dropout of what reads a history", MODEL, of=IDS_TO_RECOMMEND)

    dim: int = setting(64, "width of an item's vector and of the network", SEQUENCES, of=(*SEQUENTIAL, HISTORIES))
    layers: int = setting(
        2,
        "layers of the network",
        SEQUENCES,
        presets={"gru4rec": 1},
        of=("sasrec", "gru4rec", "bert4rec", "fdsa", "fmlp"),
    )
    heads: int = setting(1, "attention heads", SEQUENCES, of=("sasrec", "bert4rec", "fdsa", HISTORIES))
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

    hard_negatives: int = setting(
        1, "documents beside each pair that BM25 ranks highest and that are not relevant; 0: those of the batch alone",
        NEGATIVES, of=(*DUAL_ENCODER, DENSE_LOSS),
    )  # fmt: skip
    temperature: float = setting(
        0.05, "of the softmax over documents, in cosines: lower, only near documents count", NEGATIVES,
        of=(*DUAL_ENCODER, DENSE_LOSS),
    )  # fmt: skip
    texts_at_once: int = setting(
        0, "read so many texts of a batch at a time, twice, so that a large one fits; 0: all, once", NEGATIVES,
        of=DUAL_ENCODER,
    )  # fmt: skip

    ngram_tokens: int = setting(10, "tokens of an n-gram", NGRAMS, of=SEAL)
    ngrams: int = setting(10, "n-grams of a document that a query is taught to give, one of them an epoch", NGRAMS,
                          of=SEAL)  # fmt: skip
    ngram_temperature: float = setting(
        1.0, "how evenly these are drawn; near 0 only those that share most with the query", NGRAMS, of=SEAL
    )
    scoring: str = setting(
        "intersective",
        "what a document scores: by all its n-grams (intersective), or by its best whole one, by how much likelier "
        "than its frequency it is (lm-fm), or by how likely (lm)",
        NGRAMS,
        ("intersective", "lm-fm", "lm"),
        of=SEAL,
    )
    unigrams: int = setting(
        100, "beside what is in the beams, so many of the likeliest single tokens count", NGRAMS, of=SEAL
    )

    k1: tuple[float, ...] = setting(
        (0.6, 0.9, 1.2, 1.5, 2.0),
        "how soon repeating a word stops to count; of several each is tried with each b, and the best by --dev-metric "
        "kept",
        WORDS, of=("bm25",),
    )  # fmt: skip
    b: tuple[float, ...] = setting((0.25, 0.4, 0.55, 0.75, 0.9), "how much long texts pay, from 0 to 1", WORDS,
                                   of=("bm25",))  # fmt: skip
    stem: str = setting("english", "language in which words are stemmed; none: as they are", WORDS, of=("bm25",))
    stop_words: str = setting("english", "words that do not count beside others", WORDS, ("english", "none"),
                              of=("bm25",))  # fmt: skip

    warmup_epochs: int = setting(
        10, "first read each document and give its ID, so that IDs of any indexer start known; 0: none",
        SCHEDULE, of=GENERATIVE,
    )  # fmt: skip
    epochs: int = setting(10, "epochs at most", SCHEDULE, presets=dict.fromkeys(SEQUENTIAL, 80), of=NETWORKS)
    patience: int = setting(3, "stop after so many epochs without a better --dev-metric; 0: never", SCHEDULE,
                            presets=dict.fromkeys(SEQUENTIAL, 0), of=NETWORKS)  # fmt: skip
    dev_metric: str = setting("recall@10", "chooses the epoch and the learning rate, or the numbers of bm25", SCHEDULE)
    dev_queries: int = setting(2000, "how many of the dev queries or users to ask after each epoch", SCHEDULE)
    batch_size: int = setting(128, "queries or histories a step", SCHEDULE, presets=BATCH, of=NETWORKS)
    learning_rate: tuple[float, ...] = setting(
        (5e-4,), "learning rate; of several each is tried, and the best by --dev-metric kept", SCHEDULE,
        presets=RATE, of=NETWORKS,
    )  # fmt: skip
    encoder_learning_rate: float = setting(
        5e-5, "learning rate of a pretrained backbone's own layers", SCHEDULE, of=WRITES
    )
    label_smoothing: float = setting(
        0.0, "share of a target spread over all codes of its position", SCHEDULE, of=GENERATIVE
    )
    weight_decay: float = setting(
        0.01, "AdamW weight decay", SCHEDULE, presets=dict.fromkeys(SEQUENTIAL, 0.0), of=NETWORKS
    )
    clip: float = setting(1.0, "gradients are clipped to this norm", SCHEDULE, of=NETWORKS)

    beams: int = setting(20, "prefixes of IDs or n-grams that a search keeps at each position", MACHINE,
                         presets={"seal": 15}, of=WRITES)  # fmt: skip
    seed: int = setting(0, "the same seed on a CPU gives the same model", MACHINE)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps ...", MACHINE, of=NETWORKS)
    precision: str = setting(
        "auto", "auto: bfloat16 where the machine does it well", MACHINE, ("auto", "fp32", "bf16"), of=NETWORKS
    )
    checkpoint_seconds: float = setting(
        60.0, "time between checkpoints; more where writing one is slow", MACHINE, of=NETWORKS
    )

    @property
    def scopes(self) -> frozenset[str]:
        """What `of` a setting may name so that the setting counts."""
        task = "recommend" if self.method in SEQUENTIAL else "search" if self.method in SEARCH_ALONE else self.task
        losses = (f"--loss {self.loss}",) if self.method in SEQUENTIAL else ()
        if self.dense_loss and self.title in IDS_TO_SEARCH:
            losses = (DENSE_LOSS,)
        networks = () if self.method == "bm25" else NETWORKS
        return frozenset({task, self.method, self.title, *losses, *networks})

    @property
    def title(self) -> str:
        """What the settings are of."""
        return f"{self.method} to {self.task}"

    @property
    def reads_documents(self) -> bool:
        """Whether some documents are read in every epoch of a search task to give their own IDs or n-grams."""
        return self.method in WRITES and self.document_share > 0

    @property
    def reads_vectors(self) -> bool:
        """Whether an item of a history is one vector, read once."""
        return self.method == "generative" and self.task == "recommend" and self.items != "tokens"

    @property
    def rescores(self) -> bool:
        """Whether weights are picked by which IDs, cosines and words are summed."""
        return self.rescore and self.title in IDS_TO_SEARCH

    def __post_init__(self) -> None:
        fill(self, self.method, self.loss)
        for name in ("dropout", "history_dropout", "label_smoothing", "held_out", "soft_targets"):
            if getattr(self, name) >= 1:
                raise InputError(f"{name} must be below 1, not {getattr(self, name)}")
        if not all(rate > 0 for rate in self.learning_rate):
            raise InputError(f"learning_rate must be above 0, not {','.join(map(str, self.learning_rate))}")
        for name in ("document_share", "id_share"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.reads_vectors and self.encoder in ("top", "full"):
            raise InputError(
                f"encoder {self.encoder} has nothing to learn from: with items {self.items} the items' texts are "
                "read once; leave it out, or choose items tokens"
            )
        if self.dense_loss and self.encoder == "frozen":
            raise InputError(
                "dense_loss teaches the encoder, which encoder frozen keeps as it is; leave one of them out"
            )
        positive = ("max_items", "max_tokens", "epochs", "dev_queries", "batch_size", "clip", "beams", "dim", "layers",
                    "heads", "negatives", "temperature", "decoder_layers", "ngram_tokens", "ngrams",
                    "ngram_temperature", "id_share")  # fmt: skip
        check_settings(self, positive)
        if self.dim % self.heads:
            raise InputError(f"dim {self.dim} must be a multiple of heads, {self.heads}")
        if not all(b <= 1 for b in self.b):
            raise InputError(f"b must be from 0 to 1, not {','.join(map(str, self.b))}")
        if not 0 < self.mask_share < 1:
            raise InputError(f"mask_share must be above 0 and below 1, not {self.mask_share}")
