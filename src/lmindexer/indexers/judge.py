"""How good are learned IDs: the numbers of report.json, beside embed-then-quantise on the same encoder."""

import resource
import sys
from typing import Any

import torch
from torch import Tensor

from lmindexer.corpus.documents import Corpus
from lmindexer.evaluation.neighbours import embedding_neighbours, lexical_neighbours
from lmindexer.ids.quality import measure, neighbour_recall
from lmindexer.ids.table import IdTable
from lmindexer.indexers.residual_kmeans import residual_kmeans
from lmindexer.learn.learner import Learner, final_codes
from lmindexer.learn.rebuild import rebuilding_quality


def judge(learner: Learner, ids: IdTable, corpus: Corpus, embeddings: Tensor) -> dict[str, Any]:
    """Quality of the IDs, the same numbers for K-means on the encoder's mean-pooled `embeddings` (N, D).

    Also the share of documents to which the final model by itself gives the table's codes, and how well
    tokens are rebuilt from a document's codes, from another document's, and from hints alone.
    """
    config = learner.config
    texts, labels = corpus.texts(), corpus.labels
    lexical = lexical_neighbours(texts, config.seed)
    nearest = embedding_neighbours(embeddings.float().cpu().numpy(), config.seed)
    two_step = IdTable.empty(corpus.doc_ids)
    for column, size in zip(residual_kmeans(embeddings, config.sizes, config.seed).T, config.sizes, strict=True):
        two_step = two_step.append(column, size)
    tables = {"lmindexer": ids, "kmeans": two_step}
    quality = {}
    for name, table in tables.items():
        quality[name] = measure(table, labels, lexical).to_dict()
        quality[name]["neighbour_recall"] = {
            "words": quality[name]["neighbour_recall"],
            "embedding": [neighbour_recall(nearest, table.codes, t + 1) for t in range(len(table.sizes))],
        }
    same = final_codes(learner) == ids.codes
    return {
        "quality": quality,
        "agreement": {"all": float(same.all(1).mean()), "by_position": same.mean(0).tolist()},
        "rebuilding": rebuilding_quality(learner),
        "peak_memory_bytes": _peak_memory(),
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
