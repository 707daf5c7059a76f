"""In a real browser: what is written on the tiles, where hits are, and the view kept in the address."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import DESKTOP, KINDS, PHONE, N, lit, opened, path_of, scattered, search, shown, tidy

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
# the address whose view was shown last, after the listeners of the page have run
FOLLOW = 'addEventListener("hashchange", () => setTimeout(() => { window.followed = location.hash; }));'
ZOOM = {"x": 40, "y": 60}


def where(page: Any, figure: int = 0) -> str:
    return page.inner_text(f"#run-{figure} .where")


def view(page: Any) -> str:
    """What the address has behind its "#"."""
    return page.evaluate("decodeURIComponent(location.hash.slice(1)).replaceAll('+', ' ')")


def followed(page: Any, hash: str) -> None:
    """Wait until the page has gone to this address, which it did not bring about itself."""
    page.wait_for_function("hash => window.followed === hash", arg=hash)
    page.evaluate("delete window.followed")


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
        page.wait_for_function("written.length > 0")
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


def test_the_address_brings_the_view_again(browser: Any, pages: dict[str, Path]):
    state = """() => ({
      paths: [...document.querySelectorAll("figure")].map((figure) => figure.dataset.path),
      where: [...document.querySelectorAll(".where")].map((line) => line.innerText),
      active: document.querySelector("figure.active")?.id,
      query: document.getElementById("query").value,
      found: document.getElementById("found").textContent,
      document: document.querySelector("#document h3")?.innerText,
      pressed: document.querySelector("#legend [aria-pressed=true]")?.innerText,
      level: document.querySelector("#legend select").value,
      tab: document.querySelector("[aria-selected=true]").innerText,
      panel: document.querySelector("h2.path").innerText,
    })"""
    with opened(browser, pages["two"]) as page:
        page.click("#run-0 canvas", position=ZOOM)
        page.select_option("select", "0")
        page.click(".key:has-text('Beauty')")
        search(page, "polish & number1")
        search(page, "polish number1")
        page.click("#list [role=option]")
        page.click("#run-1 canvas", position=ZOOM)
        page.click("[role=tab]:has-text('Documents')")
        first, address = page.evaluate(state), page.evaluate("location.hash")
        picture = page.evaluate("document.querySelector('#run-1 canvas').toDataURL()")
    assert first["query"] == "polish number1"
    assert first["document"]
    assert first["pressed"]
    assert (first["active"], first["level"], first["tab"].split()[0]) == ("run-1", "0", "Documents")
    with opened(browser, pages["two"], view=address) as page:
        page.mouse.move(0, 0)
        assert page.evaluate(state) == first
        assert page.evaluate("location.hash") == address
        assert page.evaluate("history.length") == 2  # about:blank and this one: nothing was added
        assert page.evaluate("document.querySelector('#run-1 canvas').toDataURL()") == picture


def test_back_and_forward(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"], script=FOLLOW) as page:
        assert view(page) == ""
        page.click("canvas", position=ZOOM)
        first = path_of(page)
        assert view(page) == f"path={first}"
        search(page, "number1")
        search(page, "number12")
        page.fill("#query", "number123")
        page.wait_for_function("() => location.hash.includes('number123')")
        assert view(page) == f"path={first}&query=number123"
        page.press("#query", "Enter")
        assert "document=doc-123" in view(page)
        page.go_back()
        followed(page, f"#path={first}&query=number123")
        assert page.locator("#document").count() == 0
        assert page.inner_text("#found") == "1 found"
        assert (path_of(page), page.input_value("#query")) == (first, "number123")
        page.go_back()  # the words typed were one step, from the empty box on
        followed(page, f"#path={first}")
        assert (page.input_value("#query"), lit(page)) == ("", "")
        page.go_forward()
        followed(page, f"#path={first}&query=number123")
        assert lit(page) == ("1" if first == str(123 % 4) else "0")
        page.keyboard.press("Escape")
        page.wait_for_function("() => !location.hash.includes('query')")
        page.focus("canvas")
        page.keyboard.press("Backspace")
        assert (path_of(page), view(page)) == ("", "")
        assert "#" not in page.url


def test_typing_is_one_step_of_the_history(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"], script=FOLLOW) as page:
        before = page.evaluate("history.length")
        for typed in ("n", "nu", "number12"):
            page.fill("#query", typed)
            page.wait_for_function("typed => location.hash === `#query=${typed}`", arg=typed)
        page.click("[role=tab]:has-text('Documents')")
        assert view(page) == "query=number12&list=documents"
        assert page.evaluate("history.length") == before + 1
        page.go_back()
        followed(page, "")
        assert (page.input_value("#query"), page.inner_text("#found"), lit(page)) == ("", "", "")


@pytest.mark.parametrize(
    "bad",
    [
        "path=99",
        "path=1.99",
        "path=1.2.0",
        "path=1..2",
        "path=-1",
        "path=__proto__",
        "query=&document=doc-999",
        "document=",
        "run=2",
        "run=0",
        "level=0",
        "level=3",
        "level=two",
        "colour=9",  # no label beyond the eight of this page
        "colour=99",
        "colour=1e0",
        "list=found",
        "list=constructor",
        "%E0%A4%A",
        "=&&=path",
        "nonsense",
    ],
)
def test_what_an_address_names_wrongly_is_ignored(browser: Any, pages: dict[str, Path], bad: str):
    with opened(browser, pages["one"], view=f"#{bad}", script=FOLLOW) as page:
        assert (path_of(page), lit(page), view(page)) == ("", "", "")
        assert page.input_value("#query") == ""
        assert page.locator("#document").count() == 0
        assert page.locator("#legend [aria-pressed=true]").count() == 0
        assert page.inner_text("[role=tab][aria-selected=true]") == "Codes 4"
        page.evaluate("bad => { location.hash = bad }", f"{bad}&path=2&path=7")  # what is right beside it counts
        expected = "2" if not bad.startswith("path") else ""
        followed(page, f"#path={expected}" if expected else "")


def test_a_hostile_address_stays_text(browser: Any, pages: dict[str, Path]):
    hostile = "</script><img src=x onerror=alert(1)> & # ? + %00 שלום"
    with opened(browser, pages["one"]) as page:
        search(page, hostile)
        address = page.evaluate("location.hash")
        elements = page.locator("*").count()
    with opened(browser, pages["one"], view=address) as page:
        assert page.input_value("#query") == hostile
        assert page.inner_text("#found") == "0 found"
        assert where(page) == "0 here"
        assert page.locator("img").count() == 0
        assert page.locator("*").count() == elements


def test_ids_and_names_with_odd_signs_are_kept_in_the_address(browser: Any, tmp_path: Path):
    run = tidy()
    ids = ("a&b=c#d %41 + ü", *run.table.doc_ids[1:])
    table = type(run.table)(ids, run.table.codes, run.table.sizes).with_suffix()
    write_page(tmp_path / "page.html", [type(run)("<i>run</i> & co", table, run.texts, run.labels)])
    with opened(browser, tmp_path / "page.html") as page:
        assert page.title() == page.inner_text("h1") == "<i>run</i> & co"
        search(page, "number0")
        page.press("#query", "Enter")
        address = page.evaluate("location.hash")
    with opened(browser, tmp_path / "page.html", view=address) as page:
        assert json.loads(page.evaluate("JSON.stringify(document.querySelector('#document h3').innerText)")) == ids[0]
