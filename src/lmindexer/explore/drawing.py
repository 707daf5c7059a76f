"""How figures look and reach the disk: one style, legible in print and to the colour-blind; SVG and PNG."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmindexer.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.3, 7.0  # inches: one column of a paper, both
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008
MARKERS = "osD^vPX"
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "text.parse_math": False,  # a label may hold dollar signs
    "svg.hashsalt": "lmindexer",
}
OTHER_SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans Arabic")


@contextmanager
def style(*texts: Iterable[str]) -> Iterator[None]:
    """STYLE while a figure is made; fonts of other scripts stand in where they are installed and needed."""
    import matplotlib as mpl
    from matplotlib import font_manager

    family = STYLE["font.family"].copy()
    if not "".join(text for group in texts for text in group).isascii():
        installed = set(font_manager.get_font_names())
        family += [name for name in OTHER_SCRIPTS if name in installed]
    with mpl.rc_context({**STYLE, "font.family": family}):
        yield


def new_figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")  # needs no display, and leaves no global state


def save(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """`stem`.svg and `stem`.png, whole or not at all."""
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png"))
    write_atomically(svg, lambda path: figure.savefig(path, metadata={"Date": None}))
    write_atomically(png, lambda path: figure.savefig(path, dpi=300))
    return svg, png


def legend_below(figure: "Figure", lines: list[Any], names: list[str]) -> None:
    longest = max(map(len, names))
    columns = max(1, min(len(names), int(figure.get_figwidth() * 17 // (longest + 6))))
    figure.legend(lines, names, loc="outside lower center", ncols=columns)


def whole_numbers(axis: Any, most: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def mixed(colour: str, strength: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(1 - strength * (1 - part) for part in to_rgb(colour))
