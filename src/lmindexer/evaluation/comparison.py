"""Runs of the same documents side by side: use of the codes, uniqueness, labels, neighbours (sections 4.2, 4.3).

Point values are those of `ids.quality`, intervals those of `bootstrap`, warnings those of `caveats`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation import caveats
from lmindexer.evaluation.agreement import LABELS, NEAR, by_depth, label_rows, neighbour_rows
from lmindexer.evaluation.neighbours import embedding_neighbours, lexical_neighbours
from lmindexer.evaluation.rows import Row, path_name, to_table
from lmindexer.ids.quality import (
    SMALL_BUCKET,
    QualityReport,
    hierarchical_precision,
    measure,
    perplexity,
)
from lmindexer.ids.table import IdTable, path_ids

USE, UNIQUE, LEARNING = "Use of the codes", "Uniqueness", "Learning"
EXPLAINED = {
    USE: "**perplexity**: how many codes are in use as if equally; **Gini**: 0 = all codes equally many documents, "
    "near 1 = few codes have all.",
    UNIQUE: "Documents with the same learned codes share a **bucket**; the suffix, which carries no meaning, tells "
    "them apart. Even use and few duplicates alone are no merit: random codes have both.",
    LABELS: "**AMI**: what codes and labels tell about each other, 0 = as by chance, 1 = the same groups; it can rise "
    "when few codes are used, so perplexity of the same codes stands above it. **Same label**: of the pairs of "
    "documents that share these codes, how many share the label; in brackets, of any two documents.",
    NEAR: "**10 nearest**: of the documents nearest to a document, how many share its codes; BM25 looks at words "
    "alone. Compare with how many of any two documents do.",
}


@dataclass(frozen=True)
class Compared:
    """One run to compare."""

    name: str
    indexer: str
    table: IdTable
    seconds: float | None = None  # learning took
    agreement: float | None = None  # share of documents to which the final model gives the table's codes


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: `rows` for the table, everything `measure` tells of each run, and warnings."""

    runs: tuple[Compared, ...]
    rows: tuple[Row, ...]
    quality: tuple[QualityReport, ...]
    warnings: tuple[str, ...]
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; lists in `rows` go by run, intervals are 95 % [low, high]."""
        return {
            "documents": len(self.runs[0].table),
            "resamples": self.resamples,
            "seed": self.seed,
            "runs": [
                {"name": run.name, "indexer": run.indexer, "sizes": list(run.table.sizes), "quality": quality.to_dict()}
                for run, quality in zip(self.runs, self.quality, strict=True)
            ],
            "rows": [row.to_dict() for row in self.rows],
            "warnings": list(self.warnings),
        }

    def to_markdown(self) -> str:
        """One table, what its rows mean, and the warnings."""
        heads = [run.name if run.indexer in run.name else f"{run.name} ({run.indexer})" for run in self.runs]
        rows = [row for row in self.rows if row.section == LEARNING or row.compares]
        summary = f"{len(self.runs[0].table):,} documents. In bold the best values, and those not told apart from them."
        summary += " Rows of one run alone are in the JSON." if len(rows) < len(self.rows) else ""
        lines = [summary, "", *to_table(heads, rows), ""]
        sections = {row.section for row in self.rows}
        lines += [f"- {text}" for section, text in EXPLAINED.items() if section in sections]
        if any(interval is not None for row in self.rows for interval in row.intervals):
            lines.append(
                "- In brackets behind a value: its 95 % interval with other documents, the codes as they are; learning "
                "again with another seed is not in it. Of nearest neighbours it is that of a mean over documents, as "
                "of evaluations over queries; of AMI and same labels, which are no means, it is from "
                f"{self.resamples} random halves of the documents."
            )
        if self.warnings:
            lines += ["", "**Mind:**", "", *(f"- {warning}" for warning in self.warnings)]
        return "\n".join(lines) + "\n"


def compare(
    runs: Sequence[Compared],
    texts: Sequence[str],
    labels: Sequence[tuple[str, ...]] | None,
    *,
    embeddings: np.ndarray | None = None,
    embeddings_name: str = "",
    resamples: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare `runs` of the same N documents by `texts` (N), `labels` (N) and `embeddings` (N, D).

    Texts, labels and embeddings go by the rows of the first run. `resamples` 0: no intervals. Raises InputError
    when a run is of other documents.
    """
    runs = _aligned(runs)
    names, tables = [run.name for run in runs], [run.table for run in runs]
    quality = tuple(measure(table, labels) for table in tables)
    rows = [*_use_rows(quality), *_unique_rows(quality)]
    warnings = caveats.use_caveats(names, rows)
    perplexities = _perplexity_rows(tables)
    warnings += caveats.perplexity_caveat(perplexities)
    if labels is not None and quality[0].labels:
        rows += label_rows(tables, quality, labels, perplexities, resamples, seed)
        levels = [level.level for level in quality[0].labels]
        warnings += caveats.label_caveats(labels, levels)
        warnings += caveats.text_caveat(texts, labels, levels, seed)
    else:
        rows += [replace(row, section=UNIQUE) for row in perplexities[1:]]  # c1 alone stands above already
    judges = {"BM25": lexical_neighbours(texts, seed)}
    if embeddings is not None:
        judges[embeddings_name or "embeddings"] = embedding_neighbours(embeddings, seed)
    for judge, nearest in judges.items():
        rows += neighbour_rows(tables, judge, nearest, resamples, seed)
    rows += _chance_rows(tables)
    rows += _learning_rows(runs)
    warnings += [*caveats.width_caveat(names, rows), *caveats.not_told_apart(names, rows)]
    return Comparison(tuple(runs), tuple(rows), quality, tuple(warnings), resamples, seed)


def _aligned(runs: Sequence[Compared]) -> list[Compared]:
    """Bring all tables into the row order of the first."""
    if not runs:
        raise InputError("there is nothing to compare; name at least one run")
    first = runs[0].table
    aligned = []
    for run in runs:
        if foreign := run.table.row_of.keys() ^ first.row_of.keys():
            raise InputError(
                f"{run.name!r} and {runs[0].name!r} are not of the same documents: {len(foreign):,} stand in one only, "
                f"such as {min(foreign)!r}; compare runs learned from the same files"
            )
        table = run.table.select([run.table.row_of[doc_id] for doc_id in first.doc_ids])
        aligned.append(Compared(run.name, run.indexer, table, run.seconds, run.agreement))
    return aligned


def _use_rows(quality: Sequence[QualityReport]) -> list[Row]:
    rows = []
    for t in range(max(len(report.positions) for report in quality)):
        found = [report.positions[t] if t < len(report.positions) else None for report in quality]
        sizes = sorted({position.size for position in found if position})
        of = f"c{t + 1} (of {' or '.join(map(str, sizes))})"
        for name, title, form, better in (
            ("perplexity", f"perplexity of {of}", "perplexity", 0),
            ("used_share", f"codes used at c{t + 1}", "share", 1),
            ("gini", f"Gini at c{t + 1}", "fraction", -1),
        ):
            values = tuple(getattr(position, name) if position else math.nan for position in found)
            rows.append(Row(USE, name, title, values, form, better, depth=t + 1))
    return rows


def _unique_rows(quality: Sequence[QualityReport]) -> list[Row]:
    def row(name: str, title: str, form: str, better: int, value: Callable[[QualityReport], float]) -> Row:
        return Row(UNIQUE, name, title, tuple(value(report) for report in quality), form, better)

    small = f"in buckets of at most {SMALL_BUCKET}"
    return [
        row("alone", "documents told apart before the suffix", "share", 1, lambda r: 1 - r.sharing / r.documents),
        row("sharing", "documents that share all codes with another", "count", -1, lambda r: r.sharing),
        row("largest_bucket", "largest bucket", "count", -1, lambda r: r.largest_bucket),
        row("in_small_buckets", f"documents {small}", "share", 1, lambda r: r.share_in_small_buckets),
    ]


def _perplexity_rows(tables: Sequence[IdTable]) -> list[Row]:
    def value(n: int, depth: int) -> float:
        return perplexity(path_ids(tables[n].codes[:, :depth]), 0)

    return [
        Row(LABELS, "path_perplexity", f"perplexity of {path_name(depth)}", values, "perplexity", depth=depth)
        for depth, values in enumerate(by_depth(tables, value), start=1)
    ]


def _chance_rows(tables: Sequence[IdTable]) -> list[Row]:
    def value(n: int, depth: int) -> float:
        codes = tables[n].codes
        return hierarchical_precision(path_ids(codes[:, :depth]), codes, 0)

    return [
        Row(NEAR, "pairs_sharing", f"any two documents that share {path_name(depth)}", values, "fraction", depth=depth)
        for depth, values in enumerate(by_depth(tables, value), start=1)
    ]


def _learning_rows(runs: Sequence[Compared]) -> list[Row]:
    rows = []
    for name, title, form, better in (
        ("agreement", "documents whose codes the final model gives by itself", "share", 1),
        ("seconds", "seconds to learn", "count", -1),
    ):
        values = tuple(math.nan if getattr(run, name) is None else getattr(run, name) for run in runs)
        if any(math.isfinite(value) for value in values):
            rows.append(Row(LEARNING, name, title, values, form, better))
    return rows
