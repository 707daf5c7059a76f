"""Every recipe is one that `lmindexer learn` or `finetune --config` accepts, and says only what it changes."""

import re
from pathlib import Path

import pytest

from lmindexer.config import FinetuneConfig, LearnConfig
from lmindexer.settings import parse, read_toml

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_recipe_is_accepted_and_changes_all_that_it_names(recipe: Path):
    values = read_toml(recipe)
    kind: type = FinetuneConfig if "task" in values else LearnConfig
    config = parse(kind, values, recipe.name)
    chosen = {name: values[name] for name in ("task", "method") if name in values}  # has defaults of its own
    for name in values:
        default = getattr(kind() if name in chosen else parse(kind, chosen), name)
        assert getattr(config, name) != default, f"{name} is the default"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_recipes_header_says_how_to_run_it_and_what_to_expect(recipe: Path):
    header = recipe.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert f"--config recipes/{recipe.name}" in header
    for word in ("Command:", "Machine:", "Time:", "Expect:"):
        assert word in header


def test_the_paper_recipe_is_the_one_that_the_page_on_the_paper_shows():
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    told = page.partition("## The paper's own objective")[2]
    values = read_toml(ROOT / "recipes" / "paper-t5.toml")
    for name in values.keys() - {"text", "label"}:
        assert re.search(rf"\b{name} = ", told), name
