"""Table 12: the settings by which generated IDs learn to search, beside the paper's."""

from bench.paper.bench import Bench
from bench.paper.report import Report
from lmindexer.config import FinetuneConfig
from lmindexer.settings import parse
from lmindexer.tables import table
from lmindexer.training import ADAM

PAPER: dict[str, tuple[str, str]] = {  # of NQ320k and of MS MARCO 1M
    "optimiser": ("Adam", "Adam"),
    "Adam epsilon": ("1e-6", "1e-6"),
    "Adam betas": ("0.9, 0.999", "0.9, 0.999"),
    "batch size": ("2,048", "2,048"),
    "most steps": ("250,000", "500,000"),
    "most tokens of a query": ("32", "32"),
    "beams": ("20", "20"),
    "learning rate": ("of 5e-4, 1e-3, 5e-3", "of 5e-4, 1e-3, 5e-3"),
    "backbone": ("T5-base", "T5-base"),
    "pseudo-queries a document": ("15, by docT5query", "20, by docT5query"),
}


def table12(bench: Bench) -> Report:
    """Nothing is run: the settings are those that table6 would teach with; steps are those of all epochs."""
    config = parse(FinetuneConfig, dict(bench.teaching) | {"task": "search"})
    queries = bench.data.queries_by_split(bench.corpus.doc_ids)["train"].within(bench.corpus.row_of)
    pairs = sum(map(len, queries.relevant)) + round(config.document_share * len(bench.corpus))
    steps = config.epochs * -(-pairs // config.batch_size)
    ours = {
        "optimiser": "AdamW",
        "Adam epsilon": f"{ADAM['eps']:g}",
        "Adam betas": ", ".join(f"{beta:g}" for beta in ADAM["betas"]),
        "batch size": f"{config.batch_size:,}",
        "most steps": f"{steps:,} ({config.epochs} epochs of {pairs:,} pairs, without pseudo-queries)",
        "most tokens of a query": f"{config.max_tokens}",
        "beams": f"{config.beams}",
        "learning rate": " or ".join(f"{rate:g}" for rate in config.learning_rate),
        "backbone": bench.config.backbone,
        "pseudo-queries a document": ", ".join(path.name for path in bench.pseudo) or "none",
    }
    cells = [(name, ours[name], *of_paper) for name, of_paper in PAPER.items()]
    lines = table(("", bench.data.name, "paper, NQ320k", "paper, MS MARCO 1M"), cells, texts=(0, 1, 2, 3))
    return Report(lines, {"ours": ours, "paper": {name: list(of_paper) for name, of_paper in PAPER.items()}})
