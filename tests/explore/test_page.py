"""The page carries the table as it is, whatever the texts hold, and asks nobody for anything."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.explore.page import TEXT_LENGTH, Shown, write_page
from lmindexer.explore.telling import WordCounts, words_of_all
from lmindexer.explore.tree import build_tree
from lmindexer.ids.table import IdTable

TEXTS = ["red nail polish", "blue nail polish", "nail file", "curly hair shampoo", "dry hair shampoo", "hair brush"]
LABELS = [("Beauty", "Nails"), ("Beauty", "Nails"), ("Beauty", "Tools"), ("Beauty", "Hair"), ("Beauty", "Hair"), ()]
CODES = np.array([[7, 0], [7, 0], [7, 3], [2, 5], [2, 5], [2, 1]])
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<!-- <script>",
    "\"quoted\" & 'single' \\ %%SCRIPT%% \u2028",
    "👩‍🔬 emoji",
    "שלום עולם",
    "see https://example.com/x.js",
]


def table(codes: np.ndarray = CODES, ids: str = "abcdef") -> IdTable:
    return IdTable(tuple(ids), codes.astype(np.int32), (8,) * codes.shape[1]).with_suffix()


class Elements(HTMLParser):
    """What a browser finds: tags, attributes, the text of scripts by id, the title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags:
            tag, attributes = self.tags[-1]
            self.text[attributes.get("id") or tag] = self.text.get(attributes.get("id") or tag, "") + data


def written(
    path: Path, *runs: Shown, **settings: str
) -> tuple[Elements, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The page's elements and its data: summary, tree, documents."""
    write_page(path / "page.html", runs, **settings)
    elements = Elements((path / "page.html").read_text(encoding="utf-8"))
    tree, documents = (
        json.loads(zlib.decompress(base64.b64decode(elements.text[name]))) for name in ("tree", "documents")
    )
    return elements, json.loads(elements.text["summary"]), tree, documents


def test_the_page_holds_the_whole_table(tmp_path: Path):
    _, summary, tree, documents = written(tmp_path, Shown("run", table(), TEXTS, LABELS))
    assert documents == {"ids": list("abcdef"), "texts": TEXTS}
    (run,) = tree["runs"]
    assert np.array_equal(np.column_stack([*run["codes"], run["suffix"]]), table().paths)
    assert run["documents"] is None  # all of them, in order
    assert [tree["labels"][n] if n >= 0 else [] for n in tree["labelOf"]] == [list(label) for label in LABELS]
    assert summary["documents"] == 6
    assert summary["runs"][0]["paths"] == 4


def test_the_summary_by_hand(tmp_path: Path):
    _, summary, _, _ = written(tmp_path, Shown("run", table(), TEXTS, LABELS))
    (run,) = summary["runs"]
    assert summary["level"] == 1  # all are Beauty: nothing to colour by
    assert summary["labels"] == [[["Beauty", "Nails"], 2], [["Beauty", "Hair"], 2], [["Beauty", "Tools"], 1]]
    assert summary["unlabelled"] == 1
    assert (run["codes"], run["counts"]) == ([2, 7], [3, 3])
    assert run["top"] == [1, 0]  # Hair, Nails
    assert run["share"] == [0.667, 0.667]  # of all documents, also the one without a label


def test_a_tie_goes_to_the_more_frequent_label(tmp_path: Path):
    labels = [("x",), ("y",), ("y",), ("x",), ("z",), ("y",)]
    _, summary, _, _ = written(tmp_path, Shown("run", table(np.array([[0], [0], [1], [1], [2], [2]])), TEXTS, labels))
    assert [label for (label,), _ in summary["labels"]] == ["y", "x", "z"]
    assert summary["runs"][0]["top"] == [0, 0, 0]


@given(st.lists(st.tuples(st.text("ab ", max_size=12), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
def test_the_words_are_those_of_the_printed_tree(documents: list[tuple[str, int, int]]):
    texts = [" ".join(letter * 3 for letter in text.split()) for text, _, _ in documents]
    codes = np.array([document[1:] for document in documents])
    told = words_of_all(WordCounts.of(texts), codes)
    ids = tuple(map(str, range(len(texts))))
    tree = build_tree(IdTable(ids, codes.astype(np.int32), (3, 3)), texts, codes=None, children=None)
    first = sorted(tree.children, key=lambda node: node.path)
    assert told[0] == [list(node.words) for node in first]
    second = sorted((child for node in first for child in node.children), key=lambda node: node.path)
    assert told[1] == [list(node.words) for node in second]
    assert not any(node.words for node in [*first, *second] if node.size == 1)


def test_hostile_texts_stay_texts(tmp_path: Path):
    hostile = [(text,) for text in HOSTILE]
    run = Shown(HOSTILE[0], IdTable(tuple(HOSTILE), CODES.astype(np.int32), (8, 8)).with_suffix(), HOSTILE, hostile)
    elements, summary, tree, documents = written(tmp_path, run)
    harmless, *_ = written(tmp_path, Shown("run", table(), TEXTS, LABELS))
    assert [tag for tag, _ in elements.tags] == [tag for tag, _ in harmless.tags]
    assert elements.text["title"].strip() == HOSTILE[0]
    assert summary["runs"][0]["name"] == HOSTILE[0]
    assert documents["ids"] == HOSTILE
    assert documents["texts"] == [" ".join(text.split()) for text in HOSTILE]
    assert [label for (label,) in tree["labels"]] == HOSTILE


def test_the_page_asks_nobody(tmp_path: Path):
    elements, *_ = written(tmp_path, Shown("run", table(), HOSTILE, LABELS))
    fetching = [a[name] for _, a in elements.tags for name in ("src", "href", "srcset", "data", "action") if name in a]
    assert fetching == ["data:,"]
    assert "url(" not in elements.text["style"]
    assert "@import" not in elements.text["style"]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://", page)
    (policy,) = (a["content"] for _, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_same_runs_give_the_same_page(tmp_path: Path):
    for name in ("one", "two"):
        write_page(tmp_path / name, [Shown("run", table(), TEXTS, LABELS)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_title_is_the_name_of_the_run(tmp_path: Path):
    first, second = Shown("beauty", table(), TEXTS), Shown("toys <b>", table(), TEXTS)
    for runs, title in (((first,), "beauty"), ((second,), "toys <b>"), ((first, second), "beauty and toys <b>")):
        elements, *_ = written(tmp_path, *runs)
        assert elements.text["title"].strip() == title
        assert elements.text["h1"] == title


def test_two_runs_share_their_documents_by_id(tmp_path: Path):
    other = table(np.array([[1], [2], [3]]), "fxa")
    second = Shown("second", other, ["hair brush", "new one", "red nail polish"], [("Beauty", "Hair"), ("New",), ()])
    _, summary, tree, documents = written(tmp_path, Shown("first", table(), TEXTS, LABELS), second)
    assert documents["ids"] == list("abcdefx")
    assert documents["texts"][-1] == "new one"
    assert tree["runs"][1]["documents"] == [5, 6, 0]
    assert tree["labels"][tree["labelOf"][5]] == ["Beauty", "Hair"]  # the first run had none for it
    assert [run["documents"] for run in summary["runs"]] == [6, 3]
    assert summary["documents"] == 7


def test_without_labels(tmp_path: Path):
    _, summary, tree, _ = written(tmp_path, Shown("run", table(), TEXTS))
    assert (summary["labels"], summary["unlabelled"], summary["levels"]) == ([], 6, 0)
    assert summary["runs"][0]["top"] == [-1, -1]
    assert tree["labelOf"] == [-1] * 6


@pytest.mark.parametrize(("labels", "level"), [(24, 0), (25, -1)])
def test_of_very_many_labels_none_has_a_colour(tmp_path: Path, labels: int, level: int):
    """Eight of 24 are a third of the documents."""
    paths = [(f"label {n % labels}",) for n in range(10 * labels)]
    ids = IdTable(tuple(map(str, range(len(paths)))), np.zeros((len(paths), 1), np.int32), (4,)).with_suffix()
    _, summary, tree, _ = written(tmp_path, Shown("run", ids, ["text"] * len(paths), paths))
    assert (summary["level"], summary["levels"], len(summary["labels"])) == (level, 1, 0 if level < 0 else 8)
    assert len(tree["labels"]) == labels, "they can be chosen all the same"


def test_one_document(tmp_path: Path):
    _, summary, tree, _ = written(tmp_path, Shown("run", table(np.array([[4, 1]]), "a"), ["alone"], [("A",)]))
    assert summary["runs"][0]["counts"] == [1]
    assert summary["labels"] == [[["A"], 1]]
    assert tree["runs"][0]["words"] == [[[]]]


def test_an_only_child_has_no_words(tmp_path: Path):
    ragged = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [2, 1, 0], [2, 1, 0], [2, 4, 0]])
    _, summary, tree, _ = written(tmp_path, Shown("run", table(ragged), TEXTS))
    assert summary["runs"][0]["counts"] == [3, 3]
    assert summary["runs"][0]["words"][0]  # told from code 2
    (only, pair, single), *last = tree["runs"][0]["words"]
    assert (only, single, last) == ([], [], [[[], [], []]])
    assert {tree["vocabulary"][word] for word in pair} == {"curly", "dry", "shampoo"}  # told from the hair brush


def test_ids_without_suffix(tmp_path: Path):
    bare = IdTable(tuple("abcdef"), CODES.astype(np.int32), (8, 8))
    _, _, tree, _ = written(tmp_path, Shown("run", bare, TEXTS))
    assert tree["runs"][0]["suffix"] is None


def test_texts_are_cut_and_what_is_not_unicode_is_replaced(tmp_path: Path):
    texts = ["word " * 200, "a\n\tb", "\ud800", "", "x" * TEXT_LENGTH, "x" * (TEXT_LENGTH + 1)]
    _, _, _, documents = written(tmp_path, Shown("run", table(), texts))
    assert max(map(len, documents["texts"])) == TEXT_LENGTH
    assert documents["texts"][0].startswith("word word")
    assert documents["texts"][1:4] == ["a b", "?", ""]
    assert documents["texts"][4] == texts[4]
    assert documents["texts"][5] == "x" * (TEXT_LENGTH - 1) + "…"


def test_what_cannot_be_shown(tmp_path: Path):
    run = Shown("mine", table(), TEXTS, LABELS)
    for runs in ([], [run] * 3):
        with pytest.raises(InputError, match=f"not {len(runs)}; choose which"):
            write_page(tmp_path / "page.html", runs)
    with pytest.raises(InputError, match="mine has no documents"):
        write_page(tmp_path / "page.html", [Shown("mine", table().select([]), [])])
    with pytest.raises(InputError, match="mine have no learned code"):
        write_page(tmp_path / "page.html", [Shown("mine", IdTable.empty("ab"), ["x", "y"])])
    with pytest.raises(ValueError, match="5 texts came"):
        write_page(tmp_path / "page.html", [Shown("mine", table(), TEXTS[:5])])
    assert not list(tmp_path.iterdir())
