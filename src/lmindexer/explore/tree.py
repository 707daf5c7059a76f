"""The ID tree in words (section 4.2, Figure 3): what each code holds, for a terminal and for Markdown."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmindexer.explore.telling import WordCounts, telling_words
from lmindexer.ids.table import IdTable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 100  # columns: as wide as a printed tree gets
SAMPLE_LENGTH = 200  # characters of a document which a node keeps
LABELS_KEPT = 5
WORDS_WIDTH = 50  # columns; leaves room for the label behind the words


@dataclass(frozen=True)
class TreeNode:
    """The documents whose IDs begin with `path`."""

    code: int  # the last of the path; -1 at the root
    path: tuple[int, ...]
    size: int
    words: tuple[str, ...]  # what tells it from its siblings, strongest first
    label_mix: tuple[tuple[str, float], ...]  # the most frequent labels, with their share
    samples: tuple[str, ...]  # the beginnings of some documents; the id of one without text
    children: tuple["TreeNode", ...]  # the largest first
    left_out: int = 0  # children which exist but are not here


def build_tree(
    table: IdTable,
    texts: Sequence[str],
    labels: Sequence[tuple[str, ...]] | None = None,
    *,
    codes: int | None = 12,
    children: int | None = 3,
    samples: int = 2,
) -> TreeNode:
    """The learned positions of `table` as a tree; `texts` and `labels` in its row order.

    Of the first position the largest `codes` are shown, below it the largest `children` of each node
    (None = all), and of each node `samples` documents, evenly spread over its rows.
    """
    for name, given in (("texts", texts), ("labels", labels)):
        if given is not None and len(given) != len(table):
            raise ValueError(f"{len(table)} documents have IDs, but {len(given)} {name} came with them")
    counts = WordCounts.of(texts)

    def grow(rows: np.ndarray, path: tuple[int, ...], words: Sequence[str]) -> TreeNode:
        nodes: list[TreeNode] = []
        left_out = 0
        if len(path) < len(table.sizes):
            column = table.codes[rows, len(path)]
            found, sizes = np.unique(column, return_counts=True)
            shown = found[np.argsort(-sizes, kind="stable")][: children if path else codes].tolist()
            telling = telling_words(counts.select(rows), column)
            nodes = [grow(rows[column == code], (*path, code), telling[code]) for code in shown]
            left_out = len(found) - len(shown)
        return TreeNode(
            code=path[-1] if path else -1,
            path=path,
            size=len(rows),
            words=tuple(words),
            label_mix=_label_mix([labels[row] for row in rows]) if labels is not None else (),
            samples=tuple(_beginning(texts[row] or table.doc_ids[row]) for row in _spread(rows, samples)),
            children=tuple(nodes),
            left_out=left_out,
        )

    return grow(np.arange(len(table)), (), ())


def render(tree: TreeNode, console: "Console") -> None:
    """Print the tree, one line a code and one a sample, cut to the width."""
    from rich.tree import Tree

    def hang(node: TreeNode, branch: Tree) -> None:
        for child in node.children:
            hang(child, branch.add(_line(child)))
        if node.left_out:
            branch.add(_one_line((f"and {node.left_out:,} more", "dim")))
        if not node.children:
            for sample in node.samples:
                branch.add(_one_line((sample, "dim italic")))

    root = Tree(_one_line((_title(tree), "bold")), guide_style="dim")
    hang(tree, root)
    console.print(root, width=min(console.width, WIDTH))


def to_svg(tree: TreeNode, title: str) -> str:
    """The printed tree as a picture; it names no font that would have to be fetched."""
    from rich.console import Console

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    render(tree, console)
    return re.sub(r"@font-face\s*{[^}]*}", "", console.export_svg(title=title))


def to_markdown(tree: TreeNode) -> str:
    """Write the tree as a nested list."""
    lines = [_title(tree), ""]

    def hang(node: TreeNode, indent: str) -> None:
        for child in node.children:
            words, label = ", ".join(child.words), _top_label(child)
            parts = [
                f"**{child.code}** ({child.size:,})",
                _escaped(words),
                f"*{_escaped(label)}*" if label else "",
            ]
            lines.append(f"{indent}- " + " ".join(part for part in parts if part))
            hang(child, indent + "  ")
        if node.left_out:
            lines.append(f"{indent}- and {node.left_out:,} more")
        if not node.children:
            lines.extend(f"{indent}- {_escaped(sample[:WIDTH])}" for sample in node.samples)

    hang(tree, "")
    return "\n".join(lines) + "\n"


def _label_mix(labels: Sequence[tuple[str, ...]]) -> tuple[tuple[str, float], ...]:
    """The most frequent whole labels, "Makeup > Nails", with their share of the documents which have one."""
    counts = Counter(" > ".join(label) for label in labels if label)
    return tuple((label, count / counts.total()) for label, count in counts.most_common(LABELS_KEPT))


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Take at most so many of `rows`, from the middles of equal stretches: no best ones are picked."""
    most = min(most, len(rows))
    return rows[((np.arange(most) + 0.5) * len(rows) / max(most, 1)).astype(int)]


def _beginning(text: str) -> str:
    return " ".join(text[: 2 * SAMPLE_LENGTH].split())[:SAMPLE_LENGTH]


def _title(tree: TreeNode) -> str:
    codes = len(tree.children) + tree.left_out
    title = f"{tree.size:,} documents, {codes:,} first codes in use"
    return f"{title}, the largest {len(tree.children)}:" if tree.left_out else f"{title}:"


def _top_label(node: TreeNode) -> str:
    """The last part of the most frequent label, with its share."""
    if not node.label_mix:
        return ""
    label, share = node.label_mix[0]
    return f"{label.rsplit(' > ', 1)[-1]} {share:.0%}"


def _line(node: TreeNode) -> "Text":
    return _one_line(
        (f"{node.code:<4}", "bold cyan"),
        (f"{node.size:>5,}  ", "dim"),
        (_fitting(node.words), ""),
        (f"  {_top_label(node)}" if node.label_mix else "", "green"),
    )


def _fitting(words: Sequence[str]) -> str:
    """Join as many of the words as fit beside the label."""
    shown = ", ".join(words)
    return shown if len(shown) <= WORDS_WIDTH or len(words) == 1 else _fitting(words[:-1])


def _one_line(*parts: tuple[str, str]) -> "Text":
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style in parts:
        line.append(text, style)
    return line


def _escaped(text: str) -> str:
    """Escape the signs which Markdown would take for its own."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)
