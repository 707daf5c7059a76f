"""The paper's figures of a run, each as SVG and PNG: labels by code (3), training (4), duplicates (6).

What is drawn is counted by functions of their own; the same data always gives the same SVG.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.explore.drawing import (
    COLOURS,
    COLUMN,
    MARKERS,
    PAGE,
    legend_below,
    mixed,
    new_figure,
    save,
    style,
    whole_numbers,
)
from lmindexer.explore.telling import WordCounts, telling_words
from lmindexer.ids.quality import SMALL_BUCKET, bucket_sizes, label_ids
from lmindexer.ids.table import IdTable

REST = "#C8C8C8"
TELLING_CODES = 4  # first codes of Figure 3
SHADES = (1.0, 0.62, 0.34)  # strength of a first code's colour for its largest second codes; the others are REST
FEW_LABELS, MOST_LABELS = 8, 30  # a level of fewer says little, and more rows cannot be read
LABEL_LENGTH = 28  # characters
CURVES = (
    ("macro_f1", "Macro-F1"),
    ("perplexity", "perplexity"),
    ("difference_ratio", "difference ratio"),
)


@dataclass(frozen=True)
class LabelCounts:
    """How many documents have each label, over the corpus and below some first codes (Figure 3)."""

    labels: tuple[str, ...]  # L, the most frequent first; the rare ones folded into the last
    total: np.ndarray  # (L,)
    codes: tuple[int, ...]  # first codes, the largest first unless they were chosen
    seconds: tuple[tuple[int, ...], ...]  # for each, its largest second codes; none with one position
    others: tuple[int, ...]  # for each, how many more second codes there are
    below: tuple[np.ndarray, ...]  # for each (L, its seconds + 1): the last column counts all other second codes
    unlabelled: int


def count_labels(
    table: IdTable, labels: Sequence[tuple[str, ...]], level: int | None = None, codes: Sequence[int] | None = None
) -> LabelCounts:
    """Count the labels, cut to `level` parts, by first and second code; documents without a label are left out.

    By default the level is the first with at least FEW_LABELS labels (else the one with the most), and the codes
    are the TELLING_CODES with the most labelled documents. Raises InputError without labels, or for codes that no
    labelled document has.
    """
    has = np.array([bool(label) for label in labels], dtype=bool)
    if not has.any():
        raise InputError("there are no labels to draw; learn with --label COLUMN, or give documents that have labels")
    if not table.sizes:
        raise InputError("the IDs have no learned position yet, so no label can be told by code; learn them first")
    shown = [label for label in labels if label]
    deepest = max(map(len, shown))
    distinct = {depth: len({label[:depth] for label in shown}) for depth in range(1, deepest + 1)}
    if level is None:
        most = max(distinct.values())
        level = next(depth for depth, count in distinct.items() if count >= min(FEW_LABELS, most))
    elif not 1 <= level <= deepest:
        raise InputError(f"the labels have no level {level}; choose one of 1 to {deepest}")
    numbers = label_ids(shown, level)
    names = {number: label[:level] for number, label in zip(numbers.tolist(), shown, strict=True)}
    sizes = np.bincount(numbers)
    order = sorted(names, key=lambda number: (-sizes[number], names[number]))
    kept = order if len(order) <= MOST_LABELS else order[: MOST_LABELS - 1]
    row_of = np.full(len(order), len(kept))
    row_of[kept] = np.arange(len(kept))
    rows = row_of[numbers]  # of each labelled document
    titles = _names([names[number] for number in kept])
    if len(order) > len(kept):
        titles.append(f"{len(order) - len(kept)} other labels")
    L = len(titles)

    first = table.codes[has, 0]
    chosen = _largest(first, TELLING_CODES) if codes is None else list(dict.fromkeys(codes))
    if len(chosen) > len(COLOURS) - 1 or not chosen:
        raise InputError(f"{len(chosen)} first codes cannot be told apart in one figure; give 1 to {len(COLOURS) - 1}")
    if absent := set(chosen) - set(first.tolist()):
        raise InputError(f"no labelled document has the first code {min(absent)}; choose one that the tree shows")
    seconds, others, below = [], [], []
    for code in chosen:
        inside = first == code
        if len(table.sizes) > 1:
            second = table.codes[has, 1][inside]
            largest, distinct_seconds = _largest(second, len(SHADES)), len(np.unique(second))
            place = np.array([largest.index(code) if code in largest else len(largest) for code in second.tolist()])
        else:
            largest, distinct_seconds, place = [], 0, np.zeros(inside.sum(), dtype=np.int64)
        counts = np.zeros((L, len(largest) + 1), dtype=np.int64)
        np.add.at(counts, (rows[inside], place), 1)
        seconds.append(tuple(largest))
        others.append(distinct_seconds - len(largest))
        below.append(counts)
    total = np.bincount(rows, minlength=L)
    by_code = tuple(seconds), tuple(others), tuple(below)
    return LabelCounts(tuple(titles), total, tuple(chosen), *by_code, int((~has).sum()))


def label_distribution(
    table: IdTable,
    labels: Sequence[tuple[str, ...]],
    stem: Path,
    *,
    level: int | None = None,
    codes: Sequence[int] | None = None,
    texts: Sequence[str] | None = None,
) -> tuple[Path, Path]:
    """Figure 3: (a) the corpus by label, some first codes coloured; (b) each of these, coloured by second code.

    `labels` and `texts` by the rows of `table`; with `texts` each code is titled by its telling words. Level and
    codes as in `count_labels`.
    """
    counts = count_labels(table, labels, level, codes)
    words = telling_words(WordCounts.of(texts), table.codes[:, 0], 3) if texts is not None else {}
    L, C = len(counts.labels), len(counts.codes)
    with style(counts.labels, *words.values()):
        drawing = new_figure(PAGE, 1.0 + 0.125 * max(L, 8))
        overall, *panels = drawing.subplots(1, C + 1, sharey=True, width_ratios=[2.3] + [1] * C)
        places = np.arange(L)
        left = np.zeros(L)
        for colour, below in zip(COLOURS, counts.below, strict=False):
            overall.barh(places, below.sum(axis=1), left=left, color=colour)
            left = left + below.sum(axis=1)
        overall.barh(places, counts.total - left, left=left, color=REST)
        overall.set_yticks(places, [_cut(label) for label in counts.labels])
        overall.set_ylim(L - 0.4, -0.6)  # the most frequent at the top
        overall.set_title(f"(a) {counts.total.sum():,} documents by c1", loc="left")
        for axis, colour, code, seconds, others, below in zip(
            panels, COLOURS, counts.codes, counts.seconds, counts.others, counts.below, strict=False
        ):
            shades = [mixed(colour, strength) for strength in SHADES[: len(seconds)]]
            rest = REST if seconds else colour
            left = np.zeros(L)
            for shade, column in zip([*shades, rest], below.T, strict=True):
                axis.barh(places, column, left=left, color=shade)
                left = left + column
            letter = "(b) " if axis is panels[0] else ""
            title = "\n".join([f"{letter}c1 = {code}", *map(_cut, words.get(code, []))])
            axis.set_title(title, loc="left", color=colour)
            if seconds:
                names = [*(f"c2 = {second}" for second in seconds), f"{others:,} others"]
                handles = [bars[0] for bars in axis.containers]
                used = [n for n, column in enumerate(below.T) if column.any()]
                axis.legend([handles[n] for n in used], [names[n] for n in used], loc="lower right", handlelength=0.8,
                            handletextpad=0.4, borderaxespad=0, labelspacing=0.2)  # fmt: skip
        for axis in (overall, *panels):
            axis.tick_params(axis="y", length=0)
            whole_numbers(axis.xaxis, 4 if axis is overall else 2)
            axis.grid(axis="x", alpha=0.25, linewidth=0.5)
            axis.set_axisbelow(True)
        drawing.supxlabel("documents", fontsize=7)
        return save(drawing, stem)


def curve_points(records: Sequence[Mapping[str, Any]], t: int, quantity: str) -> list[tuple[int, float]]:
    """(epoch, value) of a quantity while position `t` was trained; what is missing or no number is left out."""
    return [
        (int(record["epoch"]), float(record[quantity]))
        for record in records
        if record.get("stage") == f"c{t + 1}: training"
        and isinstance(record.get(quantity), int | float)
        and math.isfinite(record[quantity])
    ]


def training_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]], stem: Path) -> tuple[Path, Path]:
    """Figure 4: Macro-F1, perplexity and difference ratio over the epochs; one line a run, one column a position.

    `runs` holds the records of each run's log.jsonl. A row that no run has logged is left out. Raises InputError
    when a run has logged no training.
    """
    points = {
        (name, t, quantity): curve_points(records, t, quantity)
        for name, records in runs.items()
        for t in range(2)
        for quantity, _ in CURVES
    }
    empty = [name for name in runs if not any(drawn for key, drawn in points.items() if key[0] == name)]
    if empty or not runs:
        raise InputError(f"{(empty or ['no run'])[0]} has logged no training; give runs that lmindexer learn has made")
    positions = [t for t in range(2) if any(drawn for key, drawn in points.items() if key[1] == t)]
    rows = [curve for curve in CURVES if any(drawn for key, drawn in points.items() if key[2] == curve[0])]
    with style(runs):
        drawing = new_figure(PAGE if len(positions) > 1 else COLUMN, 0.5 + 1.35 * len(rows))
        axes = drawing.subplots(len(rows), len(positions), squeeze=False, sharex="col")
        lines: dict[str, Any] = {}
        for (quantity, title), in_row in zip(rows, axes, strict=True):
            for t, axis in zip(positions, in_row, strict=True):
                for n, name in enumerate(runs):
                    if drawn := points[name, t, quantity]:
                        lines[name] = axis.plot(
                            *zip(*drawn, strict=True),
                            color=COLOURS[n % len(COLOURS)],
                            marker=MARKERS[n % len(MARKERS)],
                            linestyle=("-", "--", ":")[n // len(COLOURS) % 3],
                        )[0]
                axis.set_ylabel(title if t == positions[0] else "")
                if quantity != "difference_ratio" and axis.lines:
                    axis.set_ylim(0, axis.dataLim.y1 * 1.15 or 1)  # a collapse is told from a ripple
                axis.grid(alpha=0.25, linewidth=0.5)
                if not axis.lines:
                    axis.text(0.5, 0.5, "not logged", transform=axis.transAxes, ha="center", color="#777777")
        for t, top, bottom in zip(positions, axes[0], axes[-1], strict=True):
            top.set_title(f"position {t + 1} (c{t + 1})")
            bottom.set_xlabel(f"epoch of training c{t + 1}")
            whole_numbers(bottom.xaxis, 6)
        legend_below(drawing, [lines[name] for name in runs], list(runs))
        return save(drawing, stem)


def duplicate_shares(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For `codes` (N, T): the bucket sizes there are, (S,) ascending; the share of the learned IDs with each, (S,);
    and the share of the documents in buckets of at most each, (S,)."""
    sizes, counts = np.unique(bucket_sizes(codes), return_counts=True)
    return sizes, counts / counts.sum(), np.cumsum(sizes * counts) / len(codes)


def duplication_density(tables: Mapping[str, IdTable], stem: Path) -> tuple[Path, Path]:
    """Figure 6: how many documents share a learned ID. Left the IDs by size, both axes logarithmic, so that rare
    large buckets are seen; right the documents in buckets of at most each size. SMALL_BUCKET is marked."""
    if not tables or not all(len(table) for table in tables.values()):
        raise InputError("there are no documents whose duplicates could be drawn; give at least one ID table")
    with style(tables):
        drawing = new_figure(PAGE, 2.5)
        by_id, by_document = drawing.subplots(1, 2)
        lines, names = [], []
        largest = SMALL_BUCKET
        for n, (name, table) in enumerate(tables.items()):
            sizes, shares, below = duplicate_shares(table.codes)
            look = {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)], "markersize": 2.5}
            lines += by_id.plot(sizes, shares, **look, linewidth=0.8)
            by_document.step([1, *sizes], [0, *below], where="post", color=look["color"])
            few = below[sizes <= SMALL_BUCKET].max(initial=0.0)
            names.append(f"{name} ({few:.1%} of documents at most {SMALL_BUCKET} together)")
            largest = max(largest, int(sizes.max()))
        by_id.set_yscale("log")
        by_id.yaxis.set_major_formatter(lambda share, _: f"{share:.15g}")
        by_id.set_ylabel("share of learned IDs")
        by_document.set_ylabel("share of documents at or below")
        by_document.set_ylim(0, 1.02)
        ticks = [tick for power in range(7) for tick in (10**power, 2 * 10**power, 5 * 10**power) if tick <= largest]
        for axis in (by_id, by_document):
            axis.set_xscale("log")
            axis.set_xlim(0.9, largest * 1.12)
            axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axis.set_xticks([], minor=True)
            axis.set_xlabel("documents that share a learned ID")
            axis.axvline(SMALL_BUCKET, color="#777777", linewidth=0.7, linestyle=(0, (2, 2)))
            axis.grid(alpha=0.25, linewidth=0.5)
        legend_below(drawing, lines, names)
        return save(drawing, stem)


def _largest(codes: np.ndarray, most: int) -> list[int]:
    """The most frequent codes, the largest first, ties by number."""
    found, counts = np.unique(codes, return_counts=True)
    return found[np.argsort(-counts, kind="stable")][:most].tolist()


def _names(labels: Sequence[tuple[str, ...]]) -> list[str]:
    """The last part of each label, with the part before it where two labels end alike."""
    last = [label[-1] for label in labels]
    return [" > ".join(label[-2:]) if last.count(label[-1]) > 1 else label[-1] for label in labels]


def _cut(label: str) -> str:
    label = " ".join(label.split())
    return label if len(label) <= LABEL_LENGTH else label[: LABEL_LENGTH - 1] + "…"
