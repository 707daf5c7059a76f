"""Is one system better than another, or was it chance: paired tests of the same queries, side by side in a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval, mean_intervals
from lmindexer.evaluation.metrics import Judged
from lmindexer.tables import table

EXACT = 14  # so many differing queries, or fewer: all signs are tried, 2^14 at most
BLOCK = 2**22  # signs drawn at once
SIGNIFICANT = 0.05  # an adjusted p below tells two systems apart


@dataclass(frozen=True)
class Difference:
    """How much better the second answered the same queries."""

    mean: float
    interval: Interval | None
    p_value: float  # how often a difference at least as large comes by chance
    p_holm: float  # the same, adjusted for all systems and metrics that were compared to the same first

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        interval = self.interval and [self.interval.low, self.interval.high]
        return {"mean": self.mean, "interval": interval, "p_value": self.p_value, "p_holm": self.p_holm}


def difference(
    first: Judged, second: Judged, metric: str, *, resamples: int = 1000, samples: int = 10_000, seed: int = 0
) -> Difference:
    """Subtract `metric` of the first from that of the second, query by query; both were asked the same queries."""
    if first.query_ids != second.query_ids:
        raise InputError("the two were not asked the same queries in the same order; evaluate both on the same split")
    differences = second.values[metric] - first.values[metric]
    (interval,) = mean_intervals(differences[:, None], (-1, 1), resamples, seed)
    p_value = sign_flip_test(differences, samples, seed)
    return Difference(float(differences.mean()), interval, p_value, p_value)


def differences_to_first(
    judged: Mapping[str, Judged], metrics: Sequence[str], *, resamples: int = 1000, samples: int = 10_000, seed: int = 0
) -> dict[str, dict[str, Difference]]:
    """Compare every system but the first with the first, by system and metric; all p are adjusted together."""
    first, *others = judged
    tests = [(name, metric) for metric in metrics for name in others]
    unadjusted = [
        difference(judged[first], judged[name], metric, resamples=resamples, samples=samples, seed=seed)
        for name, metric in tests
    ]
    found: dict[str, dict[str, Difference]] = {name: {} for name in others}
    for (name, metric), one, p_holm in zip(tests, unadjusted, holm([one.p_value for one in unadjusted]), strict=True):
        found[name][metric] = replace(one, p_holm=p_holm)
    return found


def p_to_best(
    judged: Mapping[str, Judged],
    metrics: Sequence[str],
    differences: Mapping[str, Mapping[str, Difference]] | None = None,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Test every system against the one with the highest mean: p by metric and system, all adjusted together.

    The best of a metric (of equal ones the first) has none. `differences` are those of `differences_to_first`: tests
    that were made already are not made again.
    """
    first, differences = next(iter(judged)), differences or {}
    best = {metric: max(judged, key=lambda name: judged[name].means[metric]) for metric in metrics}
    tests = [(name, metric) for metric in metrics for name in judged if name != best[metric]]
    p_values = []
    for name, metric in tests:
        to_first = {name, best[metric]} - {first}
        if len(to_first) == 1 and (other := next(iter(to_first))) in differences:
            p_values.append(differences[other][metric].p_value)  # the test has no direction
        else:
            values = judged[best[metric]].values[metric] - judged[name].values[metric]
            p_values.append(sign_flip_test(values, samples, seed))
    adjusted: dict[str, dict[str, float]] = {metric: {} for metric in metrics}
    for (name, metric), p_holm in zip(tests, holm(p_values), strict=True):
        adjusted[metric][name] = p_holm
    return adjusted


def not_told_apart(
    judged: Mapping[str, Judged],
    differences: Mapping[str, Mapping[str, Difference]],
    metrics: Sequence[str],
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> dict[str, frozenset[str]]:
    """Find by metric the system with the highest mean, and those that `p_to_best` does not tell apart from it."""
    adjusted = p_to_best(judged, metrics, differences, samples=samples, seed=seed)
    return {
        metric: frozenset(name for name in judged if adjusted[metric].get(name, 1.0) >= SIGNIFICANT)
        for metric in metrics
    }


def sign_flip_test(differences: np.ndarray, samples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of paired `differences` (Q,): were the systems alike, each could as well have the other sign.

    Randomisation test of the mean (Fisher 1935; Smucker et al. 2007), by all signs when few queries differ,
    else by `samples` random ones, the observed counted among them so that p is never 0 (Phipson and Smyth 2010).
    """
    differing = differences[np.abs(differences) > 1e-12]  # the others add 0 under any sign
    n = len(differing)
    extreme = abs(differing.sum()) - 1e-9 * np.abs(differing).sum()  # equal sums may round apart
    if n <= EXACT:
        signs = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return float((np.abs((2 * signs - 1) @ differing) >= extreme).mean())
    random = np.random.default_rng(seed)
    as_extreme, block = 0, max(BLOCK // n, 1)
    for start in range(0, samples, block):
        signs = random.integers(2, size=(min(block, samples - start), n), dtype=np.int8)
        as_extreme += int((np.abs((2.0 * signs - 1) @ differing) >= extreme).sum())
    return (as_extreme + 1) / (samples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust every p for all of them (Holm 1979): taken at .05, any false alarm at all comes once in 20 times."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, n in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, (len(p_values) - rank) * p_values[n])  # a larger p never gets a smaller one
        adjusted[n] = min(highest, 1.0)
    return adjusted


def to_dict(
    judged: Mapping[str, Judged], differences: Mapping[str, Mapping[str, Difference]]
) -> dict[str, dict[str, Any]]:
    """Give every system by its name, ready for JSON; `differences` are those of `differences_to_first`, or none."""
    systems = {}
    for name, system in judged.items():
        systems[name] = system.to_dict()
        for metric, one in differences.get(name, {}).items():
            systems[name]["metrics"][metric]["difference_to_first"] = one.to_dict()
    return systems


def to_table(
    judged: Mapping[str, Judged], differences: Mapping[str, Mapping[str, Difference]], metrics: Sequence[str]
) -> list[str]:
    """Write a table with a row a metric and a column a system: mean (95 % interval) and p; then say what these are.

    Bold are the best of a row and what is not told apart from it; nothing is, where that is all.
    """
    first, *others = judged
    bold = not_told_apart(judged, differences, metrics) if differences else {}
    rows = []
    for metric in metrics:
        cells = []
        for name, system in judged.items():
            is_bold = len(bold.get(metric, judged)) < len(judged) and name in bold[metric]
            p_holm = differences[name][metric].p_holm if name in differences else None
            cells.append(cell(system, metric, p_holm, is_bold))
        rows.append((metric, *cells))
    summary = f"Means of {len(judged[first].query_ids):,} queries"
    if any(system.intervals[metric] for system in judged.values() for metric in metrics):
        summary += ", in brackets 95 % intervals over queries"
    lines = [*table(("", *judged), rows), "", f"{summary}."]
    if differences:
        tests = len(others) * len(metrics)
        adjusted = f", adjusted by Holm for the {tests} tests of the table" if tests > 1 else ""
        lines.append(
            f"p: how often as large a difference to {first} comes by chance "
            f"(paired sign-flip test of the mean, two-sided{adjusted}). "
            "Bold: the best of a row, and what the same test does not tell apart from it "
            f"(p of {SIGNIFICANT:g} or more)."
        )
    return lines


def cell(system: Judged, metric: str, p_holm: float | None, is_bold: bool, spread: str = "") -> str:
    """Write a mean, how far it spreads over seeds, its interval, and p where there is one."""
    mean = f"{system.means[metric]:.4f}{spread}"
    mean = f"**{mean}**" if is_bold else mean
    return mean + _span(system.intervals[metric]) + ("" if p_holm is None else f" {_p(p_holm)}")


def _span(interval: Interval | None) -> str:
    return f" ({interval.low:.3f}\N{EN DASH}{interval.high:.3f})" if interval else ""


def _p(p_value: float) -> str:
    return f"p={p_value:.3f}" if p_value >= 0.0005 else "p<0.001"
