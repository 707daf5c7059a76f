"""In a real browser: what is written on the tiles, and where hits are."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import DESKTOP, KINDS, PHONE, ZOOM, N, lit, opened, path_of, scattered, search, shown, tidy, where

from lmindexer.explore.page import write_page

# what is written on any canvas: the words, their ink, and the halo that was drawn below them (none: null)
RECORD = """
window.written = [];
const halos = new Map();
const { fillText, strokeText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.strokeText = function (text, x, y) {
  halos.set([text, x, y, this.font].join(), this.strokeStyle);
  strokeText.call(this, text, x, y);
};
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const at = [text, x, y, this.font].join();
  written.push({ text, ink: this.fillStyle, halo: halos.get(at) ?? null, x, y });
  halos.delete(at);
  fillText.call(this, text, x, y);
};
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_over_tiles_of_many_colours_have_a_plain_halo(browser: Any, pages: dict[str, Path], scheme: str):
    with opened(browser, pages["two"], script=RECORD, color_scheme=scheme) as page:
        words = [part for part in page.evaluate("written") if part["text"] in {"polish", "shampoo", "stick", "cream"}]
        assert words
        style = "getComputedStyle(document.documentElement).getPropertyValue"
        paper, ink = (page.evaluate(f"{style}('--{name}').trim()") for name in ("paper", "ink"))
        assert {(part["halo"], part["ink"]) for part in words} == {(paper, ink)}  # not in the colour of the tile


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_tile_shows_its_code(browser: Any, pages: dict[str, Path], size: tuple[int, int]):
    with opened(browser, pages["two"], size, script=RECORD) as page:
        texts = {part["text"] for part in page.evaluate("written")}
        assert set(map(str, range(16))) <= texts  # the first codes of the second run; the first one has 0 to 3
        page.evaluate("written.length = 0")
        page.click("#run-0 canvas", position=ZOOM)
        starts = {re.match(r"\d*", part["text"])[0] for part in page.evaluate("written") if part["y"] > 0}
        assert set(map(str, range(8))) <= starts  # the second codes below it


def test_a_tile_of_one_document_shows_its_code_and_the_text(browser: Any, tmp_path: Path):
    codes = np.array([[0]] * 6 + [[7]] * 5 + [[42]])
    write_page(tmp_path / "page.html", [shown("singles", codes)])
    with opened(browser, tmp_path / "page.html", script=RECORD) as page:
        written = [part["text"] for part in page.evaluate("written")]
        assert "42" in written or any(text.startswith("42: ") for text in written)
        assert any("number11" in text for text in written)
        page.click("canvas", position={"x": 900 - 40, "y": 640 - 40})
        assert page.inner_text("h2.path") == "42"
        assert page.locator(".words").count() == 0
        page.click("#run-0 .crumbs button:has-text('singles')")
        row = page.locator("#list [role=option]").nth(2)
        assert row.locator("strong").inner_text() == "42"
        assert row.locator(".text").inner_text().startswith(KINDS[11 % 4])  # its text in place of words


def test_small_tiles_of_one_document_show_their_codes_before_the_texts(browser: Any, tmp_path: Path):
    write_page(tmp_path / "page.html", [shown("many", np.arange(64)[:, None])])
    with opened(browser, tmp_path / "page.html", PHONE, script=RECORD) as page:
        page.evaluate("written.length = 0")  # what the first picture had before the texts were there
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("() => written.length > 0")
        lines = [part["text"] for part in page.evaluate("written")]
        with_text = {line.split(":")[0] for line in lines if re.match(r"\d+:( |$)", line)}
        alone = {line for line in lines if line.isdigit()}  # of tiles too narrow for a text
        assert with_text
        assert with_text.isdisjoint(alone)
        assert with_text | alone == set(map(str, range(64)))


def test_the_code_of_a_tile_full_of_hits_is_above_their_marks(browser: Any, pages: dict[str, Path]):
    mark = """
    const { arc } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.arc = function (...at) { written.length = 0; arc.apply(this, at); };
    """
    with opened(browser, pages["two"], PHONE, script=RECORD + mark) as page:
        search(page, "number1")
        last = page.evaluate("written.map(({ text }) => text)")  # after the last mark of the second run
        full = np.bincount(scattered().table.codes[[n for n in range(N) if f"number{n}".startswith("number1")], 0])
        assert sorted(last, key=int) == [str(code) for code, hits in enumerate(full) if hits > 8]


def test_search_in_a_node_says_where_the_hits_are_and_leads_there(browser: Any, pages: dict[str, Path]):
    hits = [n for n in range(N) if "number12" in f"number{n}"]  # 12, 120 to 129
    by_kind = Counter(n % 4 for n in hits)
    with opened(browser, pages["one"], view="#path=1") as page:
        search(page, "number12")
        others = sorted(set(by_kind) - {1}, key=lambda kind: (-by_kind[kind], kind))
        codes = ", ".join(f"{kind} ({by_kind[kind]})" for kind in others)
        assert where(page) == f"{by_kind[1]} here, {len(hits) - by_kind[1]} elsewhere: {codes}"
        page.click(f"#run-0 .where button:has-text('{others[0]} (')")
        assert path_of(page) == str(others[0])
        assert lit(page) == str(by_kind[others[0]])
        assert page.get_attribute("[role=tab]:has-text('Found')", "aria-selected") == "true"
        assert where(page).startswith(f"{by_kind[others[0]]} here, ")


def test_hits_below_the_same_first_code_are_named_by_their_path(browser: Any, pages: dict[str, Path]):
    n = np.arange(N)
    inside = [row for row in n[(n % 4 == 1) & (n // 4 % 8 != 2)] if "number12" in f"number{row}"]
    with opened(browser, pages["one"], view="#path=1.2") as page:
        search(page, "number12")
        for row in inside:
            assert f"1 · {row // 4 % 8} (1)" in where(page)
        assert "1 (" not in where(page).replace("· 1 (", "")  # not 1 itself, which holds what is in view


def test_hits_of_the_whole_tree_are_named_by_code(browser: Any, pages: dict[str, Path]):
    most = Counter(scattered().table.codes[[12, *range(120, 130)], 0].tolist())
    with opened(browser, pages["two"]) as page:
        search(page, "number12")
        assert where(page, 0).startswith("11 here: ")
        code, count = min(most.items(), key=lambda item: (-item[1], item[0]))
        assert where(page, 1).startswith(f"11 here: {code} ({count}), ")
        assert len(most) > 6
        assert where(page, 1).endswith(f" and {len(most) - 5} more codes")
        assert where(page, 1).count("(") == 5


def test_pictures_side_by_side_begin_at_one_height(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["two"], view="#path=1.2&path=", size=(1000, 700)) as page:
        search(page, "number1")
        heights = [page.locator(f"#run-{r} .where").bounding_box()["height"] for r in (0, 1)]
        assert heights[0] != heights[1]  # lines of text
        assert len({page.locator(f"#run-{r} canvas").bounding_box()["y"] for r in (0, 1)}) == 1


def test_hits_that_a_run_does_not_have_are_counted(browser: Any, tmp_path: Path):
    write_page(tmp_path / "page.html", [tidy(), shown("half", np.arange(200)[:, None] % 4)])
    with opened(browser, tmp_path / "page.html") as page:
        search(page, "number25")
        assert where(page, 0).startswith("11 here")  # 25, 250 to 259
        assert where(page, 1) == "1 here: 1 (1); 10 not in this run"


def test_the_way_to_hits_by_keyboard_and_on_a_phone(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["two"], PHONE, view="#path=1&path=") as page:
        search(page, "number12")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        pictures = [page.locator(f"#run-{r} canvas").bounding_box() for r in (0, 1)]
        assert min(box["width"] for box in pictures) > 300  # one below the other
        assert pictures[0]["y"] + pictures[0]["height"] < pictures[1]["y"]
        box = page.locator("#run-0 .where").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
        button = page.locator("#run-0 .where button").first
        button.focus()
        goal = button.inner_text().split()[0]
        page.keyboard.press("Enter")
        assert path_of(page, 0) == goal
        assert page.evaluate("document.activeElement === document.querySelector('#run-0 canvas')")
        page.keyboard.press("Backspace")
        assert path_of(page, 0) == ""


def test_the_title_is_the_name_of_the_run(browser: Any, pages: dict[str, Path]):
    for name, title in (("one", "tidy"), ("two", "tidy and scattered")):
        with opened(browser, pages[name]) as page:
            assert page.title() == title
            assert page.inner_text("h1") == title
