"""docs/paper.md is true: every symbol it names exists and says which equation it is."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

PAPER = Path(__file__).parents[1] / "docs" / "paper.md"
EQUATIONS = range(1, 15)


def rows() -> list[tuple[str, str]]:
    """(what of the paper, the cell that names the symbol) of every line of a table."""
    lines = [line for line in PAPER.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [(cells[1].strip(), cells[2].strip()) for line in lines if (cells := line.split("|"))]


def symbols() -> list[tuple[str, str]]:
    """(what of the paper, module:Name) of every row that names a symbol."""
    return [(what, found[1]) for what, cell in rows() if (found := re.fullmatch(r"`(lmindexer[\w.]*:[\w.]+)`", cell))]


def resolve(symbol: str) -> Any:
    module, _, path = symbol.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def equations_in(text: str | None) -> set[int]:
    """The numbers in `Eq. 5`, `Eq. 4/8`, `Eq. 2, 3, 6` and `Eq. 5 and 7`."""
    lists = re.findall(r"Eq\. (\d+(?:(?:/|, | and )\d+)*)", text or "")
    return {int(number) for numbers in lists for number in re.findall(r"\d+", numbers)}


def test_equations_are_found_in_every_way_of_writing():
    assert equations_in("Eq. 4/8, 9, 10: mean; Eq. 2 (P_s), Eq. 5 and 7, section 3.1") == {2, 4, 5, 7, 8, 9, 10}
    assert equations_in(None) == set()


def test_every_equation_is_in_the_table():
    named = {number for what, _ in symbols() for number in equations_in(what)}
    assert named == set(EQUATIONS)
    assert "Algorithm 1" in dict(symbols())


@pytest.mark.parametrize("symbol", sorted(set(re.findall(r"`(lmindexer[\w.]*:[\w.]+)`", PAPER.read_text()))))
def test_every_symbol_named_exists(symbol: str):
    assert resolve(symbol) is not None


@pytest.mark.parametrize(("what", "symbol"), [pair for pair in symbols() if pair[0].startswith(("Eq.", "Algorithm"))])
def test_a_symbol_says_which_equation_it_is(what: str, symbol: str):
    module = importlib.import_module(symbol.partition(":")[0])
    said = f"{resolve(symbol).__doc__} {module.__doc__}"
    if what.startswith("Eq."):
        assert equations_in(what) <= equations_in(said)
    else:
        assert what in said
