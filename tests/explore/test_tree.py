"""The readable tree: the words that tell, every document counted, lines that fit."""

import io
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lmindexer.explore import telling
from lmindexer.explore.tree import TreeNode, build_tree, render, to_markdown, to_svg
from lmindexer.ids.table import IdTable

TEXTS = [
    "Gentle shampoo for curly hair",
    "Herbal shampoo for hair, 12 oz",
    "Red nail polish for you",
    "Blue nail polish [matte]",
    "Nail file",
]
LABELS = [("Hair", "Shampoo"), ("Hair", "Shampoo"), ("Nails", "Polish"), ("Nails", "Polish"), ()]


@pytest.fixture
def table() -> IdTable:
    table = IdTable.empty("abcde").append(np.array([7, 7, 3, 3, 3]), 8)
    return table.append(np.array([0, 1, 5, 5, 2]), 8).with_suffix()


def printed(tree: TreeNode, width: int = 100) -> str:
    paper = io.StringIO()
    render(tree, Console(file=paper, width=width))
    return paper.getvalue()


def telling_words(texts: Sequence[str], groups: np.ndarray, most: int = 6) -> dict[int, list[str]]:
    return telling.telling_words(telling.WordCounts.of(texts), groups, most)


def test_telling_words_by_hand():
    words = telling_words(TEXTS, np.array([1, 1, 4, 4, 4]))
    assert set(words[1][:2]) == {"hair", "shampoo"}
    assert words[4][:2] == ["nail", "polish"]
    assert "for" not in words[1] + words[4]  # a stop word
    assert not any(word in words[4] for word in words[1])


def test_a_word_which_all_groups_have_tells_nothing():
    words = telling_words(["nail red", "nail red", "nail blue", "nail blue"], np.array([0, 0, 1, 1]))
    assert words == {0: ["red"], 1: ["blue"]}


def test_a_group_without_an_outside_has_no_telling_words():
    assert telling_words(TEXTS, np.zeros(5, dtype=int)) == {0: []}


def test_a_single_document_has_no_telling_words():
    """Each of its words would tell it from all others, which says less than its text does."""
    words = telling_words(TEXTS, np.array([1, 1, 4, 4, 9]))
    assert words[9] == []
    assert words[4][:2] == ["nail", "polish"]


def test_nothing_shows_telling_words_of_a_single_document(table: IdTable):
    tree = build_tree(table, TEXTS, LABELS)
    nails, hair = tree.children
    assert [(child.size, child.words) for child in hair.children] == [(1, ()), (1, ())]
    assert (nails.children[1].size, nails.children[1].words) == (1, ())
    lines = to_markdown(tree).splitlines()
    assert "  - **2** (1)" in lines
    assert "    - Nail file" in lines
    for text in (printed(tree), re.sub(r"<[^>]*>", "", to_svg(tree, "IDs").replace("&#160;", " "))):
        assert len(re.findall(r"\b2 +1 +\n", text)) == 1
        assert text.count("Nail file") == 1


def test_texts_without_any_word():
    assert telling_words(["the 12", "", "of"], np.array([0, 1, 1])) == {0: [], 1: []}


@given(st.lists(st.tuples(st.text("ab ", max_size=12), st.integers(0, 2)), min_size=1, max_size=12))
def test_telling_words_are_the_groups_own(documents: list[tuple[str, int]]):
    texts, groups = zip(*documents, strict=True)
    words = telling_words(texts, np.array(groups), most=2)
    assert set(words) == set(groups)
    for group, own in words.items():
        assert len(own) <= (2 if groups.count(group) > 1 else 0)
        assert all(any(word in text for text, g in documents if g == group) for word in own)


def test_tree_by_hand(table: IdTable):
    tree = build_tree(table, TEXTS, LABELS)
    assert (tree.code, tree.path, tree.size, tree.left_out) == (-1, (), 5, 0)
    nails, hair = tree.children
    assert (nails.path, nails.size, nails.label_mix) == ((3,), 3, (("Nails > Polish", 1.0),))
    assert nails.words[:2] == ("nail", "polish")
    polish, file = nails.children
    assert (polish.path, polish.size) == ((3, 5), 2)
    assert polish.words[0] == "polish"  # told from its sibling, not from the whole
    assert file.label_mix == ()
    assert file.samples == ("Nail file",)
    assert [child.path for child in hair.children] == [(7, 0), (7, 1)]


def test_the_largest_are_kept_and_the_rest_counted(table: IdTable):
    tree = build_tree(table, TEXTS, codes=1, children=1, samples=1)
    assert [child.code for child in tree.children] == [3]
    assert tree.left_out == 1
    assert [child.code for child in tree.children[0].children] == [5]
    assert tree.children[0].left_out == 1
    assert len(tree.children[0].children[0].samples) == 1
    assert tree.label_mix == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_the_whole_tree_holds_every_document_once(codes: list[tuple[int, int]]):
    table = IdTable.empty(str(row) for row in range(len(codes)))
    for column in np.array(codes, dtype=np.int64).reshape(-1, 2).T:
        table = table.append(column, 4)

    def leaves(node: TreeNode) -> list[TreeNode]:
        assert not node.children or sum(child.size for child in node.children) == node.size
        return [leaf for child in node.children for leaf in leaves(child)] if node.children else [node]

    tree = build_tree(table, ["word"] * len(codes), codes=None, children=None)
    if codes:
        assert {leaf.path: leaf.size for leaf in leaves(tree)} == {path: codes.count(path) for path in codes}


def test_render_shows_codes_words_labels_and_samples(table: IdTable):
    text = printed(build_tree(table, TEXTS, LABELS, codes=1))
    assert text.splitlines()[0].rstrip() == "5 documents, 2 first codes in use, the largest 1:"
    assert "nail, polish" in text
    assert "Polish 100%" in text
    assert "Blue nail polish [matte]" in text  # rich takes no markup from a document
    assert "and 1 more" in text


@pytest.mark.parametrize("width", [40, 100, 300])
def test_lines_fit(table: IdTable, width: int):
    texts = [f"{text} {'very long ' * 10_000}" for text in TEXTS]
    lines = printed(build_tree(table, texts, LABELS), width).splitlines()
    assert max(len(line) for line in lines) <= min(width, 100)
    assert len(lines) == 12  # title, 2 codes, 4 children, 5 samples: nothing wraps


def test_markdown(table: IdTable):
    lines = to_markdown(build_tree(table, TEXTS, LABELS, codes=1)).splitlines()
    assert lines[0] == "5 documents, 2 first codes in use, the largest 1:"
    assert lines[2].startswith("- **3** (3) nail, polish")
    assert lines[2].endswith("*Polish 100%*")
    assert r"    - Blue nail polish \[matte\]" in lines
    assert lines[-1] == "- and 1 more"


def test_texts_must_be_as_many_as_ids(table: IdTable):
    with pytest.raises(ValueError, match="5 documents have IDs, but 1 texts"):
        build_tree(table, ["one"])
    with pytest.raises(ValueError, match="5 documents have IDs, but 1 labels"):
        build_tree(table, TEXTS, [("one",)])


def test_scripts_without_spaces_have_telling_pairs_of_signs():
    texts = ["红色的桥", "旧的桥和红色的门", "白色的船", "高山与白色的云"]
    words = telling_words(texts, np.array([0, 0, 1, 1]))
    assert set(words[0][:2]) == {"的桥", "红色"}
    assert words[1][0] == "白色"
    assert all(len(word) == 2 for word in words[0] + words[1])
    thai = ["สะพานแดง ab", "สะพานใหม่ ab", "เรือขาว ab", "เรือเก่า ab"]
    words = telling_words(thai, np.array([0, 0, 1, 1]))
    assert {"สะ", "ะพ"} < set(words[0])
    assert all(len(word) > 1 for word in words[0] + words[1])


def test_a_document_without_text_is_shown_by_its_id(table: IdTable):
    tree = build_tree(table, ["", *TEXTS[1:]], None)
    shown = printed(tree)
    assert re.search(r"── a$", shown, re.MULTILINE)
    assert "── b" not in shown
