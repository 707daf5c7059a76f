"""How good are learned IDs: the numbers of report.json, beside embed-then-quantise on the same encoder."""

import resource
import sys
from typing import Any

import torch
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Vectors
from lmindexer.evaluation.neighbours import embedding_neighbours, lexical_neighbours
from lmindexer.ids.collapse import collapse
from lmindexer.ids.quality import measure, neighbour_recall, perplexity
from lmindexer.ids.table import IdTable
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.learn.learner import Learner, final_codes
from lmindexer.learn.reading import Unseen
from lmindexer.learn.rebuild import rebuilding_quality
from lmindexer.progress import Progress

BASELINE = "rq-kmeans"
REBUILT = 500  # documents of which hidden tokens are rebuilt, over the full vocabulary: the slowest of the numbers


def judge(
    config: LearnConfig,
    ids: IdTable,
    corpus: Corpus,
    embeddings: Tensor | None,
    unseen: Unseen | None = None,
    given: Vectors | None = None,
) -> dict[str, Any]:
    """Quality of the IDs of `config.indexer`, and what learning them took.

    Also what the encoder does not see of the documents, or which vectors users brought, and warnings where the IDs
    collapsed.

    With `embeddings` (N, D) of the documents also how many nearest neighbours by them share codes, and for
    LMIndexer the same numbers for residual K-means of these embeddings.
    """
    tables = {config.indexer: ids}
    if config.indexer == "lmindexer" and embeddings is not None:
        two_step = ResidualKMeans.fit(embeddings, config, Progress(None))
        tables[BASELINE] = IdTable(corpus.doc_ids, two_step.codes(embeddings), config.sizes)
    judges = {"words": lexical_neighbours(corpus.texts(), config.seed)}
    if embeddings is not None:
        judges["embedding"] = embedding_neighbours(embeddings.cpu().numpy(), config.seed)
    quality = {}
    for name, table in tables.items():
        quality[name] = measure(table, corpus.labels).to_dict()
        quality[name]["neighbour_recall"] = {
            judge: [neighbour_recall(nearest, table.codes, t + 1) for t in range(len(table.sizes))]
            for judge, nearest in judges.items()
        }
    readings = None if unseen is None else unseen.readings
    warnings = collapse(ids.codes, ids.sizes, config.indexer, config.leaf, readings)
    seen: dict[str, Any] = {} if unseen is None else {"unseen": unseen.to_dict() | {"notes": unseen.notes(config)}}
    if given is not None:
        seen = {"vectors": given.facts | {"notes": list(given.notes)}}
    return {"quality": quality, **seen, "warnings": warnings, **_memory()}


def judge_model(learner: Learner, ids: IdTable, has_text: bool = True) -> dict[str, Any]:
    """What only LMIndexer has: does the final model agree with the table, do its codes rebuild text.

    `agreement`: the share of documents to which the final model by itself gives the table's codes, and the
    perplexity of the codes it gives (Table 2: without the commitment loss earlier codes are forgotten).
    """
    given = final_codes(learner)
    same = given == ids.codes
    kept = [perplexity(column, size) for column, size in zip(given.T, ids.sizes, strict=True)]
    agreement = {"all": float(same.all(1).mean()), "by_position": same.mean(0).tolist(), "perplexity": kept}
    if not has_text:
        return {"agreement": agreement}
    return {"agreement": agreement, "rebuilding": rebuilding_quality(learner, sample=REBUILT)}


def _memory() -> dict[str, int]:
    """The most memory of this process and of the GPU, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak_memory_bytes": int(peak if sys.platform == "darwin" else peak * 1024),
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }
