"""How far a mean over queries, users, documents or pairs would move with others of the kind: one interval for all.

The Bayesian bootstrap (Rubin 1981) weighs the cases at random, and half a case more stands at each end of what a
case can be. Where cases are 0 or 1 that is exactly Jeffreys' interval of a share (Brown, Cai and DasGupta 2001), so
it holds for few cases, for rare hits and where all cases are alike, as resampling alone does not. bench/coverage.py
measures how often it holds the truth: .93 to .98 of the time from 20 cases on, for fewer rather more.
"""

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
BLOCK = 2**22  # weights drawn at once


@dataclass(frozen=True)
class Interval:
    """Where the number would lie with other cases of the kind, 19 times in 20."""

    low: float
    high: float

    @property
    def has_zero(self) -> bool:
        return self.low <= 0 <= self.high


def mean_intervals(
    values: np.ndarray, bounds: tuple[float, float], resamples: int, seed: int, sizes: np.ndarray | None = None
) -> list[Interval | None]:
    """The interval of the mean of each column of `values` (n, M), in the same weights for all columns.

    A case lies in `bounds`: (0, 1), or (-1, 1) for what one system has more than another. With `sizes` (n,) a case
    counts as many things, `values` are sums over these, and the interval is that of sum(values) / sum(sizes). None
    without cases or `resamples`.
    """
    n = len(values)
    if not n or not resamples:
        return [None] * values.shape[1]
    sizes = np.ones(n) if sizes is None else sizes
    ends = np.array(bounds)[:, None] * sizes.mean()
    with_ends = np.concatenate([values, np.broadcast_to(ends, (2, values.shape[1]))])
    sizes_with_ends = np.concatenate([sizes, np.full(2, sizes.mean())])
    random = np.random.default_rng(seed)
    means, block = [], max(BLOCK // n, 1)
    for start in range(0, resamples, block):
        drawn = min(block, resamples - start)
        weights = np.concatenate([random.standard_exponential((drawn, n)), random.gamma(0.5, size=(drawn, 2))], axis=1)
        means.append(weights @ with_ends / (weights @ sizes_with_ends)[:, None])
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    mean = values.sum(0) / sizes.sum()  # in its interval also where all cases stand at one end
    low, high = np.minimum(low, mean), np.maximum(high, mean)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
