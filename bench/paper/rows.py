"""The rows of the paper's tables: what each system is made of, and what the paper says of it.

A row names its IDs (`LEARNED`) and its method, one of METHODS. One that is not in METHODS yet is named by its table as
not here, and appears by being listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BERT, T5 = "google-bert/bert-base-uncased", "google-t5/t5-base"
NO_IDS = "no IDs"
# what rows are learned with: changes of LearnConfig, by name
LEARNED: dict[str, dict[str, Any]] = {
    "rq-VAE (BERT)": {"indexer": "rq-vae", "embeddings": BERT},
    "HC (BERT)": {"indexer": "hc", "embeddings": BERT},
    "rq-VAE (in-domain SimCSE)": {"indexer": "rq-vae", "embeddings": "simcse"},
    "HC (in-domain SimCSE)": {"indexer": "hc", "embeddings": "simcse"},
    "rq-VAE (bundled)": {"indexer": "rq-vae"},
    "HC (bundled)": {"indexer": "hc"},
    "HC (bundled), 50 clusters, leaves of 512": {"indexer": "hc", "clusters": 50, "leaf": 512},
    "residual K-means (bundled)": {"indexer": "rq-kmeans"},
    "random": {"indexer": "random"},
    "LMIndexer": {},
    "LMIndexer (T5-base)": {"backbone": T5, "objective": "paper", "encoder": "full", "encoder_learning_rate": 1e-3},
    NO_IDS: {"indexer": "none"},
}
# the paper's AMI by data set
TABLE1: dict[str, dict[str, float]] = {
    "rq-VAE (BERT)": {"beauty": 0.2654, "toys": 0.3154},
    "HC (BERT)": {"beauty": 0.2428, "toys": 0.2729},
    "rq-VAE (in-domain SimCSE)": {"beauty": 0.3100, "toys": 0.3126},
    "HC (in-domain SimCSE)": {"beauty": 0.2771, "toys": 0.2968},
    "rq-VAE (bundled)": {},
    "HC (bundled)": {},
    "HC (bundled), 50 clusters, leaves of 512": {},
    "residual K-means (bundled)": {},
    "random": {},
    "LMIndexer": {"beauty": 0.3563, "toys": 0.3536},
}


@dataclass(frozen=True)
class System:
    """A row: a method on learned IDs or without any, taught where it can be, and the paper's numbers by data set."""

    ids: str  # one of LEARNED
    method: str
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by data set and metric
    changes: Mapping[str, Any] | None = None  # of LearnConfig, where the IDs are not in LEARNED

    @property
    def learn(self) -> Mapping[str, Any]:
        """What its IDs are learned with."""
        return LEARNED[self.ids] if self.changes is None else self.changes


def _amazon(*metrics: str, **numbers: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {name: dict(zip(metrics, pair, strict=True)) for name, pair in numbers.items()}


def _table3(beauty: tuple[float, float], sports: tuple[float, float], toys: tuple[float, float]) -> Any:
    return _amazon("recall@5", "ndcg@5", beauty=beauty, sports=sports, toys=toys)


def _table4(beauty: tuple[float, float], sports: tuple[float, float], toys: tuple[float, float]) -> Any:
    return _amazon("ndcg@5", "map@5", beauty=beauty, sports=sports, toys=toys)


def _table6(nq: tuple[float, float], trec: tuple[float, float] | None, marco: float | None) -> Any:
    numbers = {"nq320k": {"recall@1": nq[0], "recall@10": nq[1]}}
    if trec is not None and marco is not None:
        numbers |= {"trec-dl": {"recall@10": trec[0], "ndcg@10": trec[1]}, "msmarco-1m": {"mrr@10": marco}}
    return numbers


PAPER3 = _table3((0.0415, 0.0262), (0.0222, 0.0142), (0.0404, 0.0268))
TABLE3 = {
    "HGN": System(NO_IDS, "hgn", _table3((0.0325, 0.0206), (0.0189, 0.0120), (0.0321, 0.0221))),
    "GRU4Rec": System(NO_IDS, "gru4rec", _table3((0.0164, 0.0099), (0.0129, 0.0086), (0.0097, 0.0059))),
    "BERT4Rec": System(NO_IDS, "bert4rec", _table3((0.0203, 0.0124), (0.0115, 0.0075), (0.0116, 0.0071))),
    "FDSA": System(NO_IDS, "fdsa", _table3((0.0267, 0.0163), (0.0182, 0.0122), (0.0228, 0.0140))),
    "rq-VAE": System("rq-VAE (bundled)", "generative", _table3((0.0136, 0.0086), (0.0067, 0.0040), (0.0084, 0.0055))),
    "HC": System("HC (bundled)", "generative", _table3((0.0129, 0.0078), (0.0076, 0.0050), (0.0082, 0.0054))),
    "LMIndexer": System("LMIndexer", "generative", PAPER3),
    "LMIndexer (T5-base)": System("LMIndexer (T5-base)", "generative", PAPER3),
    "SASRec": System(NO_IDS, "sasrec"),
    "FMLP-Rec": System(NO_IDS, "fmlp"),
    "most popular": System(NO_IDS, "popular"),
    "nearest texts (bundled encoder)": System(NO_IDS, "dense"),
    "random order": System(NO_IDS, "random"),
}
PAPER4 = _table4((0.3187, 0.2888), (0.2870, 0.2607), (0.2865, 0.2592))
TABLE4 = {
    "BM25": System(NO_IDS, "bm25", _table4((0.2490, 0.2152), (0.1898, 0.1581), (0.2085, 0.1760))),
    "dual encoder": System(NO_IDS, "dual-encoder", _table4((0.2565, 0.2096), (0.2556, 0.2223), (0.2805, 0.2420))),
    "dual encoder, zero-shot": System(NO_IDS, "dense"),
    "SEAL": System(NO_IDS, "seal", _table4((0.1271, 0.1050), (0.2011, 0.1739), (0.1035, 0.0843))),
    "rq-VAE": System("rq-VAE (bundled)", "generative", _table4((0.2710, 0.2469), (0.2606, 0.2354), (0.2511, 0.2287))),
    "HC": System("HC (bundled)", "generative", _table4((0.2172, 0.1959), (0.1979, 0.1812), (0.2379, 0.2156))),
    "LMIndexer": System("LMIndexer", "generative", PAPER4),
    "LMIndexer (T5-base)": System("LMIndexer (T5-base)", "generative", PAPER4),
    "random order": System(NO_IDS, "random"),
}
OF_TABLE6 = {
    "BM25": _table6((0.2970, 0.6030), (0.2756, 0.2995), 0.3144),
    "dual encoder": _table6((0.5360, 0.8300), (0.3612, 0.3941), 0.5561),
    "SEAL": _table6((0.5990, 0.8120), None, None),
    "rq-VAE": _table6((0.6480, 0.8322), (0.4199, 0.4579), 0.5159),
    "HC": _table6((0.6439, 0.8213), (0.4265, 0.4571), 0.5126),
    "LMIndexer": _table6((0.6631, 0.8589), (0.4519, 0.4695), 0.5485),
    "LMIndexer (T5-base)": _table6((0.6631, 0.8589), (0.4519, 0.4695), 0.5485),
}
TABLE6 = {name: System(row.ids, row.method, OF_TABLE6.get(name, {})) for name, row in TABLE4.items()}
SECONDS = {"rq-VAE": 13.66, "HC": 12.85, "SEAL": 1260.0, "LMIndexer": 12.21}  # Table 14: all test queries of Beauty
QUERIES_OF_TABLE14 = 338
TABLE14 = {name: TABLE4[name] for name in ("rq-VAE", "HC", "SEAL", "LMIndexer", "BM25", "dual encoder")}
TABLE15 = {
    name: System(TABLE4[name].ids, TABLE4[name].method, numbers)
    for name, numbers in {
        "rq-VAE": _amazon("recall@50", "recall@100", beauty=(0.0, 0.0105)),
        "HC": _amazon("recall@50", "recall@100", beauty=(0.0, 0.0070)),
        "LMIndexer": _amazon("recall@50", "recall@100", beauty=(0.0455, 0.0524)),
        "BM25": {},
        "dual encoder": {},
        "dual encoder, zero-shot": {},
    }.items()
}
