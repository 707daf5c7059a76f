"""The round trip: a query is kept where a method finds with it the document that it was made for.

Alberti et al. (2019); for retrieval Dai et al. (2022).
"""

from collections.abc import Sequence

from lmindexer.methods.retriever import Retriever
from lmindexer.progress import Progress
from lmindexer.questions.pseudo_queries import PseudoQuery

AT_ONCE = 512  # queries in one call, so that progress shows


def found_again(
    queries: Sequence[PseudoQuery], retriever: Retriever, depth: int, progress: Progress | None = None
) -> list[PseudoQuery]:
    """Those whose document is among the first `depth` that the retriever finds with them."""
    texts = list(dict.fromkeys(query.text for query in queries))
    found: dict[str, set[str]] = {}
    for start in range(0, len(texts), AT_ONCE):
        part = texts[start : start + AT_ONCE]
        for text, hits in zip(part, retriever.search(part, depth), strict=True):
            found[text] = {hit.doc_id for hit in hits}
        if progress is not None:
            progress.count(f"asking {retriever.name}", len(found), len(texts), "queries")
    return [query for query in queries if query.doc_id in found[query.text]]
