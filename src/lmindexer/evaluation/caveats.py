"""Where a number of a comparison can mislead: one sentence each, with the numbers that say so."""

import re
from collections.abc import Sequence

import numpy as np

from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.rows import Row, level_name, path_name, span

UNLIKE_PERPLEXITY = 1.5  # times
IN_TEXT_ABOVE_CHANCE = 0.1
FEW_LABELLED = 50  # documents
UNEVEN = 0.8  # of the labelled documents have one label
WIDE = 0.1
LOW_USE = 0.5
LOOKED_AT = 5000  # labelled documents whose words are looked at


def perplexity_caveat(rows: Sequence[Row]) -> list[str]:
    """Warn where runs use unlike numbers of codes: fewer codes raise AMI and neighbour recall."""
    unlike = []
    for row in rows:
        found = [value for value in row.values if np.isfinite(value)]
        if row.measure == "path_perplexity" and found and max(found) > UNLIKE_PERPLEXITY * min(found):
            unlike.append(f"at {path_name(row.depth or 1)} from {min(found):,.0f} to {max(found):,.0f}")
    if not unlike:
        return []
    return [
        f"The runs spread documents over unlike numbers of codes (perplexity {', '.join(unlike)}): AMI and neighbour "
        "recall can be higher only because fewer codes are used, and precision because more are."
    ]


def use_caveats(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Warn of positions which leave most of their codes unused."""
    return [
        f"{name} uses only {value:.0%} of the codes at c{row.depth}; its IDs are longer than they need to be."
        for row in rows
        if row.measure == "used_share"
        for name, value in zip(names, row.values, strict=True)
        if value < LOW_USE
    ]


def label_caveats(labels: Sequence[tuple[str, ...]], levels: Sequence[int | None]) -> list[str]:
    """Warn of few labelled documents, and of levels where one label has nearly all or nearly every one is alone."""
    labelled = [label for label in labels if label]
    sentences = []
    if len(labelled) < FEW_LABELLED:
        sentences.append(f"Only {len(labelled)} documents have a label; numbers by label rest on few pairs.")
    for level in levels:
        values, counts = np.unique([" > ".join(label[:level]) for label in labelled], return_counts=True)
        if counts.max() > UNEVEN * len(labelled):
            sentences.append(
                f"{counts.max() / len(labelled):.0%} of the labelled documents have the {level_name(level)} label "
                f"{str(values[counts.argmax()])!r}; precision is high by chance there."
            )
        if len(values) > len(labelled) / 2:
            sentences.append(
                f"At {level_name(level)} there are {len(values):,} labels for {len(labelled):,} documents; few pairs "
                "have one in common, so these numbers say little."
            )
    return sentences


def text_caveat(
    texts: Sequence[str], labels: Sequence[tuple[str, ...]], levels: Sequence[int | None], seed: int
) -> list[str]:
    """Warn where the words of labels stand in the texts: copying words then looks like understanding."""
    found = []
    for level in levels:
        share, chance = labels_in_text(texts, labels, level, seed)
        if share > chance + IN_TEXT_ABOVE_CHANCE:
            found.append(f"{level_name(level)} {share:.0%} (another document's: {chance:.0%})")
    if not found:
        return []
    return [
        f"Labels stand in the texts by their words: {', '.join(found)}; AMI and precision may reward copying words."
    ]


def labels_in_text(
    texts: Sequence[str], labels: Sequence[tuple[str, ...]], level: int | None, seed: int
) -> tuple[float, float]:
    """Count in which share of the labelled documents the last part of the label stands in the text, word by word.

    The second number is the same of another document's label, where that differs. At most LOOKED_AT documents are
    looked at. Case, punctuation and a plural s do not count. `texts` (N), `labels` (N) cut to `level`.
    """
    random = np.random.default_rng(seed)
    rows = random.permutation([row for row, label in enumerate(labels) if label])[:LOOKED_AT].tolist()
    parts = [_words(labels[row][:level][-1]) for row in rows]
    held = [_words(texts[row]) for row in rows]
    others = random.permutation(len(rows))
    held_by_text = [part in text for part, text in zip(parts, held, strict=True) if part.strip()]
    chance = [
        parts[other] in text
        for part, text, other in zip(parts, held, others, strict=True)
        if parts[other] != part and parts[other].strip()
    ]
    return sum(held_by_text) / max(len(held_by_text), 1), sum(chance) / max(len(chance), 1)


def width_caveat(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Warn of intervals that are too wide to tell good from bad."""
    widths = [
        (interval.high - interval.low, row.title, name, interval)
        for row in rows
        if row.is_shown and row.compares and row.intervals  # what the table has
        for name, interval in zip(names, row.intervals, strict=True)
        if interval is not None
    ]
    wide = [found for found in widths if found[0] > WIDE]
    if not wide:
        return []
    _, title, name, interval = max(wide, key=lambda found: found[0])
    return [
        f"{len(wide)} of {len(widths)} intervals are wider than {WIDE}, the widest that of {title} for "
        f"{name} ({span(interval)}); there are too few documents to tell."
    ]


def not_told_apart(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Name for every run the measures whose interval of the difference to the first holds 0."""
    sentences = []
    for n, name in enumerate(names[1:], start=1):
        differences: list[tuple[str, Interval]] = []
        for row in rows:
            if row.is_shown and row.differences and (interval := row.differences[n]) is not None:
                differences.append((row.title, interval))
        same = [title for title, interval in differences if interval.has_zero]
        if same:
            titles = "; ".join(same)
            sentences.append(
                f"{name} and {names[0]} are not told apart by {len(same)} of {len(differences)} measures, as 0 is in "
                f"the interval of the difference: {titles}."
            )
    return sentences


def _words(text: str) -> str:
    """Words in lower case without a plural s, between single spaces, spaces at both ends too."""
    words = [word.removesuffix("s") for word in re.findall(r"\w+", text.casefold())]
    return " " + " ".join(words) + " "
