"""In a real browser: the view of the page kept in its address."""

from pathlib import Path
from typing import Any

import pytest
from browsing import ZOOM, lit, opened, path_of, search, tidy, where

from lmindexer.explore.page import write_page

# the address whose view was shown last, after the listeners of the page have run
FOLLOW = 'addEventListener("hashchange", () => setTimeout(() => { window.followed = location.hash; }));'


def view(page: Any) -> str:
    """What the address has behind its "#"."""
    return page.evaluate("decodeURIComponent(location.hash.slice(1)).replaceAll('+', ' ')")


def followed(page: Any, hash: str) -> None:
    """Wait until the page has gone to this address, which it did not bring about itself."""
    page.wait_for_function("hash => window.followed === hash", arg=hash)
    page.evaluate("delete window.followed")


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
    pictures = "[...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
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
        drawn = page.evaluate(pictures)
    assert first["query"] == "polish number1"
    assert first["document"]
    assert first["pressed"]
    assert (first["active"], first["level"], first["tab"].split()[0]) == ("run-1", "0", "Documents")
    with opened(browser, pages["two"], view=address) as page:
        page.mouse.move(0, 0)
        assert page.evaluate(state) == first
        assert page.evaluate("location.hash") == address
        assert page.evaluate("history.length") == 2  # about:blank and this one: nothing was added
        assert page.evaluate(pictures) == drawn


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
        assert page.inner_text("#document h3") == ids[0]
