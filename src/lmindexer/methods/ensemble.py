"""Several runs of the same documents as one recommender or search: their scores summed, weighed on dev."""

from collections.abc import Mapping

from lmindexer.errors import InputError
from lmindexer.methods.hybrid import HybridRetriever
from lmindexer.methods.retriever import Retriever
from lmindexer.methods.weights import Weights, pick
from lmindexer.questions.questions import Questions

FUSED = "fuse"  # its name beside its parts
DEV = 5000  # questions that choose


def fuse(retrievers: Mapping[str, Retriever], dev: Questions, metric: str) -> tuple[HybridRetriever, Weights]:
    """The retrievers of these names as one, with the weights that are best on the `dev` questions, and what was picked.

    Scores are brought to 0 to 1 in every list before. Raises InputError where one has other documents than the first,
    and where there is no question to choose by.
    """
    names = list(retrievers)
    first = set(retrievers[names[0]].doc_ids)
    for name, retriever in retrievers.items():
        if set(retriever.doc_ids) != first:
            raise InputError(f"{name} has other documents than {names[0]}; fuse runs of the same documents")
    if not len(dev):
        raise InputError("there is no dev question to pick weights by; name questions with a dev split")
    found = pick(HybridRetriever(list(retrievers.values()), parts=names), dev.sample(DEV, 0), metric)
    weights = [found.by_part[name] for name in names]
    return HybridRetriever(list(retrievers.values()), weights, parts=names), found
