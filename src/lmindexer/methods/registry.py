"""Every method that answers questions, by its name: a newcomer is one file and one entry here, and is tested by it.

Nothing heavy is imported before a method is opened: `lmindexer --help` reads this table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmindexer.config import FinetuneConfig
from lmindexer.errors import InputError

if TYPE_CHECKING:
    from lmindexer.methods.retriever import Retriever
    from lmindexer.methods.teachable import Choosable, Teachable
    from lmindexer.questions.sequences import Sequences
    from lmindexer.runs import Run

TEXT, HISTORY = "text", "history"  # as in questions.questions, which imports more
OF_IDS = ("beams", "exact", "renormalise", "novelty", "score")  # how generated IDs are searched
OF_WORDS = ("k1", "b", "stem", "stop_words")  # how words are counted


@dataclass(frozen=True)
class Method:
    """A way to answer questions with the documents of a run."""

    name: str
    about: str  # a noun phrase, for --help
    reads: tuple[str, ...]  # TEXT, HISTORY or both
    module: str  # of this package, with `open_run`
    options: tuple[str, ...] = ()  # keywords of `open`: how it is asked
    teachable: str = ""  # the module with `begin`, where the method can be taught
    only_taught: bool = False  # whether only a run that was taught it has it
    partner: bool = False  # whether hybrid fuses generated IDs with it

    def open(
        self, run: str | Path, kind: str = "", *, sequences: "Sequences | None" = None, **options: Any
    ) -> "Retriever":
        """The method over the documents of a run, to be asked questions of this `kind`; by default as it was taught.

        `sequences` are what users took, for a method that counts them; by default what the run was taught. Raises
        InputError where it does not answer that kind, takes no such option, or the run lacks what it needs.
        """
        if kind:
            self.check_kind(kind)
        if unknown := sorted(options.keys() - set(self.options)):
            raise InputError(f"{self.name} takes no {unknown[0]}; leave it out")
        from lmindexer.methods.taught import taught_by

        if self.only_taught and taught_by(Path(run)) != self.name:
            data = "SEQUENCES" if HISTORY in self.reads else "--queries QUERIES"
            raise InputError(
                f"{run} was not taught {self.name}; run lmindexer finetune RUN {data} --method {self.name}, or choose "
                "another --method"
            )
        retriever: Retriever = import_module(f"{__package__}.{self.module}").open_run(
            Path(run), kind or self._usual_kind(Path(run)), sequences, **options
        )
        retriever.name = self.name
        return retriever

    def check_kind(self, kind: str) -> None:
        """Raise InputError where it does not answer this kind of questions."""
        if kind not in self.reads:
            fitting = ", ".join(n for n, method in METHODS.items() if kind in method.reads and not method.only_taught)
            raise InputError(f"{self.name} answers {_plural(self.reads)}, not {_plural((kind,))}; choose {fitting}")

    def begin(self, run: "Run", config: FinetuneConfig) -> "Teachable | Choosable":
        """What a run has of the method, ready to be taught. Raises InputError where it cannot be."""
        if not self.teachable:
            others = ", ".join(name for name, method in METHODS.items() if method.teachable)
            raise InputError(f"{self.name} learns nothing; choose {others}")
        return import_module(f"{__package__}.{self.teachable}").begin(run, config)

    def _usual_kind(self, run: Path) -> str:
        from lmindexer.methods.taught import is_finetuned, read_config

        config = read_config(run) if is_finetuned(run) else None
        needs_ids = self.name in ("generative", "hybrid")
        taught = TEXT
        if config is not None and config.task == "recommend" and (config.method == "generative" or not needs_ids):
            taught = HISTORY
        return taught if taught in self.reads else self.reads[0]


METHODS = {
    method.name: method
    for method in (
        Method("generative", "generated IDs", (TEXT, HISTORY), "generative.finetuned", OF_IDS, "generative.teachable"),
        Method("bm25", "words", (TEXT,), "bm25", OF_WORDS, "bm25", partner=True),
        Method("dense", "the bundled encoder, or any other", (TEXT, HISTORY), "dense", ("backbone",), partner=True),
        Method("popular", "what most users took", (HISTORY,), "popular", partner=True),
        Method(
            "dual-encoder", "an encoder that was taught (Karpukhin et al. 2020)", (TEXT,), "dual_encoder.retriever", (),
            "dual_encoder.teachable", only_taught=True, partner=True,
        ),
        Method("random", "a random order", (TEXT, HISTORY), "random_order", ("seed",)),
        Method(
            "seal", "generated n-grams of the documents (Bevilacqua et al. 2022)", (TEXT,), "seal.retriever",
            ("beams", "scoring"), "seal.teachable", only_taught=True,
        ),
        Method(
            "hybrid", "generated IDs, or what RUN was taught, fused with another of these", (TEXT, HISTORY), "hybrid",
            ("fusion", "weights", "partner", *OF_IDS, *OF_WORDS, "scoring", "backbone"),
        ),
        Method(
            "rescored", "generated IDs, cosines and words summed, by weights that fine-tuning picked", (TEXT,),
            "rescored.retriever", OF_IDS,
        ),
        *(
            Method(name, about, (HISTORY,), "sequential.model", (), "sequential.model", only_taught=True)
            for name, about in (
                ("sasrec", "self-attention over a user's items"),
                ("gru4rec", "a recurrent network over them"),
                ("bert4rec", "a network that guesses hidden items"),
                ("hgn", "gates over the last items"),
                ("fdsa", "self-attention over items and over their texts"),
                ("fmlp", "filters over a user's items"),
            )
        ),
    )
}  # fmt: skip
PARTNERS = tuple(name for name, method in METHODS.items() if method.partner)  # of generated IDs


def method_for(run: str | Path) -> str:
    """The name of the method that a run is for: the one that it was taught, else generated IDs.

    Where these were better on dev beside cosines and words, it is their sum.
    """
    from lmindexer.methods.taught import rescoring_of, taught_by

    rescoring = rescoring_of(Path(run))
    return "rescored" if rescoring is not None and rescoring["better"] else taught_by(Path(run)) or "generative"


def load_retriever(run: str | Path, method: str = "", **options: Any) -> "Retriever":
    """A method over the documents of a run, ready to be asked as the run was taught.

    By default it is `method_for` the run; generated IDs search with 20 `beams` or as fine-tuned, and
    `novelty` as fine-tuning calibrated it; `exact` and `renormalise` are as `GenerativeRetriever` says. Raises
    InputError as `Method.open`, and for an unknown method.
    """
    return method_of(method or method_for(run)).open(run, **options)


def method_of(name: str) -> Method:
    """The method of this name. Raises InputError for none."""
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name]


def _plural(kinds: Sequence[str]) -> str:
    return " and ".join({TEXT: "words", HISTORY: "histories"}[kind] for kind in kinds)
