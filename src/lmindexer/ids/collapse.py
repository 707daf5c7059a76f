"""Collapse: few of the codes are in use, or most documents are on few paths. One rule for all indexers."""

import math

import numpy as np

from lmindexer.ids.quality import SMALL_BUCKET, bucket_sizes, perplexity

FEW = 0.5  # of the codes that could be in use
UNEVEN = 0.1  # of what perplexity could be
CROWDED = 4  # times as many documents on a path as if all paths had equally many
MOST = 0.5  # of the documents

ADVICE = {
    "lmindexer": "try smaller --sizes, a lower --learning-rate or more --warmup-epochs",
    "rq-vae": "try smaller --sizes, more --vae-epochs or another --vae-learning-rate",
    "hc": "try fewer --clusters, or other --embeddings",
    "rq-kmeans": "try smaller --sizes, or other --embeddings",
}  # random codes cannot collapse


def collapse_of_position(codes: np.ndarray, size: int, t: int, advice: str) -> str:
    """A warning where the documents' `codes` (N,) of position t are few or very uneven; else ""."""
    used, even, possible = len(np.unique(codes)), perplexity(codes, size), min(size, len(codes))
    if possible < 2 or (used > FEW * possible and even >= UNEVEN * possible):
        return ""
    return f"c{t + 1} uses {used} of {size} codes (perplexity {even:.1f}); {advice}"


def collapse_of_paths(codes: np.ndarray, most: int, advice: str) -> str:
    """A warning where most documents of `codes` (N, T) are on paths of more than `most` documents; else ""."""
    buckets = bucket_sizes(codes)
    crowd = int(buckets[buckets > most].sum())
    if crowd <= MOST * len(codes):
        return ""
    return (
        f"{crowd:,} of {len(codes):,} documents share all their learned codes with at least {most:,} others, "
        f"{buckets.max():,} on one path; {advice}"
    )


def collapse(
    codes: np.ndarray, sizes: tuple[int, ...], indexer: str, leaf: int = 0, readings: int | None = None
) -> list[str]:
    """Warnings of both kinds for the IDs that an indexer made, `codes` (N, T); none for random ones.

    With hierarchical clustering as many as fit into a `leaf` are no crowd. `readings`: how many different texts the
    documents are to the encoder; where they are few, that is the cause.
    """
    if indexer not in ADVICE:
        return []
    advice = ADVICE[indexer]
    if readings is not None and readings <= MOST * len(codes):
        advice = f"the encoder sees only {readings:,} different text{'' if readings == 1 else 's'}, as noted before"
    even = len(codes) / math.prod(sizes)
    most = leaf if indexer == "hc" else max(SMALL_BUCKET, int(CROWDED * even))
    watched = range(1 if indexer == "hc" else len(sizes))  # where its tree ends early, later codes mean nothing
    found = [collapse_of_position(codes[:, t], sizes[t], t, advice) for t in watched]
    return [warning for warning in (*found, collapse_of_paths(codes, most, advice)) if warning]
