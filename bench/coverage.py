"""How often the 95 % intervals of evaluations hold the truth, on populations of queries that are known.

    python -m bench.coverage [--n 20,41,65,300] [--samples 2000] [--resamples 1000]

Beside the interval that is used (`bootstrap.mean_intervals`) stand those that were tried: Student's t, Wilson's score
interval with as many 0-1 cases as vary like the values (n m (1 - m) / s^2) and a t quantile, and the percentile
bootstrap. Each cell is the share of samples whose interval holds the mean of the population, and its mean width.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import t as student

from lmindexer.evaluation.bootstrap import mean_intervals
from lmindexer.tables import head_lines, line

Population = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]  # draws values of a shape
Bounds = tuple[float, float]
Method = Callable[[np.ndarray, Bounds, int], tuple[float, float]]
POPULATION = 1_000_000  # values whose mean is taken for the truth


def hits(share: float) -> Population:
    """0 or 1, as recall of questions with one answer."""
    return lambda random, shape: (random.random(shape) < share).astype(float)


def discounted(share: float, gain: Callable[[np.ndarray], np.ndarray]) -> Population:
    """0, or a gain that falls with a rank up to 10, as ndcg and mrr of questions with one answer."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        rank = random.geometric(0.3, shape)
        return np.where((random.random(shape) < share) & (rank <= 10), gain(rank), 0.0)

    return draw


def shares(a: float, b: float, most: int) -> Population:
    """Found of 1 to `most` relevant documents, as recall; queries are easy or hard by a beta distribution."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        relevant = random.integers(1, most + 1, shape)
        return random.binomial(relevant, random.beta(a, b, shape)) / relevant

    return draw


def flips(better: float, worse: float) -> Population:
    """1, -1 or 0: what one system finds and the other does not."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        dice = random.random(shape)
        return np.where(dice < better, 1.0, np.where(dice < better + worse, -1.0, 0.0))

    return draw


def less(first: Population, second: Population) -> Population:
    return lambda random, shape: first(random, shape) - second(random, shape)


def ndcg(rank: np.ndarray) -> np.ndarray:
    return 1 / np.log2(rank + 1)


def mrr(rank: np.ndarray) -> np.ndarray:
    return 1 / rank


METRICS: dict[str, Population] = {
    **{f"hits, p = {share}": hits(share) for share in (0.05, 0.1, 0.3, 0.9)},
    **{f"ndcg, found {share}": discounted(share, ndcg) for share in (0.1, 0.9)},
    **{f"mrr, found {share}": discounted(share, mrr) for share in (0.2, 0.7)},
    "recall, mostly low": shares(0.4, 1, 5),
    "recall, mostly high": shares(3, 0.3, 5),
    "precision, low": shares(0.5, 4, 10),
}
DIFFERENCES: dict[str, Population] = {
    **{f"+1 {better}, -1 {worse}": flips(better, worse) for better, worse in ((0.1, 0.05), (0.3, 0.2), (0.05, 0.05))},
    "ndcg less ndcg": less(discounted(0.8, ndcg), discounted(0.6, ndcg)),
    "recall less recall": less(shares(1, 1, 5), shares(0.4, 1, 5)),
}


def bayesian(values: np.ndarray, bounds: Bounds, resamples: int) -> tuple[float, float]:
    (interval,) = mean_intervals(values[:, None], bounds, resamples, 0)
    assert interval is not None
    return interval.low, interval.high


def t_interval(values: np.ndarray, bounds: Bounds, resamples: int) -> tuple[float, float]:
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def wilson(values: np.ndarray, bounds: Bounds, resamples: int) -> tuple[float, float]:
    low, high = bounds
    scaled, n = (values - low) / (high - low), len(values)
    mean, variance, z = scaled.mean(), scaled.var(ddof=1), student.ppf(0.975, len(values) - 1)
    cases = n * mean * (1 - mean) / variance if variance > 0 else n
    middle = (mean + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = z * np.sqrt(mean * (1 - mean) / cases + z**2 / (4 * cases**2)) / (1 + z**2 / cases)
    return float(low + (high - low) * (middle - half)), float(low + (high - low) * (middle + half))


def percentile(values: np.ndarray, bounds: Bounds, resamples: int) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)


METHODS: dict[str, Method] = {
    "Bayesian bootstrap, half a case at each end": bayesian,
    "Student's t": t_interval,
    "Wilson, effective n": wilson,
    "percentile bootstrap": percentile,
}


def coverage(
    population: Population, bounds: Bounds, n: int, method: Method, *, samples: int, resamples: int, seed: int = 0
) -> tuple[float, float]:
    """The share of samples of `n` values whose interval holds the mean of the population, and its mean width."""
    truth = float(population(np.random.default_rng(seed + 1), (POPULATION,)).mean())
    drawn = population(np.random.default_rng(seed), (samples, n))
    intervals = np.array([method(values, bounds, resamples) for values in drawn])
    holds = (intervals[:, 0] - 1e-9 <= truth) & (truth <= intervals[:, 1] + 1e-9)
    return float(holds.mean()), float((intervals[:, 1] - intervals[:, 0]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", default="20,41,65,300")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    print("\n".join(head_lines(("n", "population", *METHODS), texts=(1,))), flush=True)
    for n in map(int, arguments.n.split(",")):
        for bounds, populations in (((0.0, 1.0), METRICS), ((-1.0, 1.0), DIFFERENCES)):
            for name, population in populations.items():
                how = {"samples": arguments.samples, "resamples": arguments.resamples}
                cells = [coverage(population, bounds, n, method, **how) for method in METHODS.values()]
                print(line((str(n), name, *(f"{share:.3f} ({width:.3f})" for share, width in cells))), flush=True)


if __name__ == "__main__":
    main()
