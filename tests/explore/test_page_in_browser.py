"""The page in a real browser: it draws, zooms, finds, compares, and fits on a phone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import DESKTOP, KINDS, PHONE, N, colours, documents, lit, opened, path_of, scattered, search, shown, tidy

from lmindexer.explore.page import write_page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_it_draws_and_fits(browser: Any, pages: dict[str, Path], name: str, size: tuple[int, int], tmp_path: Path):
    grounds, pictures = set(), set()
    with opened(browser, pages[name], size, color_scheme="light") as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert all(colours(page, figure) > 20 for figure in range(page.locator("canvas").count()))
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            pictures.add(page.evaluate("document.querySelector('canvas').toDataURL()"))
            page.screenshot(path=tmp_path / f"{name}-{scheme}.png", full_page=True)
            assert (tmp_path / f"{name}-{scheme}.png").stat().st_size > 10_000
    assert (len(grounds), len(pictures)) == (2, 2)


def test_a_click_zooms_and_escape_goes_back(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"]) as page:
        assert page.inner_text("#size") == "400 documents"
        page.click("canvas", position={"x": 40, "y": 60})
        first = path_of(page)
        assert first in {"0", "1", "2", "3"}
        assert page.inner_text("#size") == "100 documents, 25% of 400"
        assert page.locator("[role=tab]").all_inner_texts() == ["Codes 8", "Documents 100"]
        assert KINDS[int(first)].split()[0] in page.inner_text(".words")
        page.click("canvas", position={"x": 40, "y": 60})
        assert path_of(page).startswith(f"{first}.")
        assert page.inner_text("#size") in {"12 documents, 3% of 400", "13 documents, 3% of 400"}
        page.click("canvas", position={"x": 40, "y": 60})
        assert page.inner_text("#document code").startswith(path_of(page).replace(".", " · "))
        page.keyboard.press("Escape")
        assert path_of(page) == first
        page.keyboard.press("Escape")
        assert path_of(page) == ""


def test_the_zoom_moves_and_arrives(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"], reduced_motion="no-preference") as page:
        page.clock.install(time=0)
        page.clock.pause_at(1000)  # from here on the page's time is what `run_for` makes it
        page.click("canvas", position={"x": 40, "y": 60})
        seen = set()
        for _ in range(30):
            seen.add(page.evaluate("document.querySelector('canvas').toDataURL().length"))
            page.clock.run_for(20)
        assert len(seen) > 2
        arrived = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.clock.run_for(60)
        assert page.evaluate("document.querySelector('canvas').toDataURL()") == arrived


def test_search_finds_lights_up_and_leads_there(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["two"]) as page:
        before = page.evaluate("document.querySelector('canvas').toDataURL()")
        search(page, "NUMBER123")
        assert page.inner_text("#found") == "1 found"
        assert [lit(page, figure) for figure in (0, 1)] == ["1", "1"]
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
        page.click("#list [role=option]")
        assert "number123 <b>bold</b> </script>" in page.inner_text("#document")
        expected = [run.table["doc-123"] for run in (tidy(), scattered())]
        assert page.locator("#document code").all_inner_texts() == [" · ".join(map(str, full)) for full in expected]
        for figure, full in enumerate(expected):
            assert path_of(page, figure).split(".") == list(map(str, full))[: len(path_of(page, figure).split("."))]
        search(page, "doc-12 polish")  # all the words, in the id or in the text
        assert page.inner_text("#found") == f"{sum(n % 4 == 0 for n in range(120, 130))} found"
        page.press("#query", "Escape")
        assert page.input_value("#query") == ""
        assert lit(page) == ""


def test_a_node_lights_up_in_the_other_run(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["two"]) as page:
        page.click("#run-0 canvas", position={"x": 40, "y": 60})
        assert (lit(page, 0), lit(page, 1)) == ("", "100")
        code = int(path_of(page, 0))
        first_codes = len(set(scattered().table.codes[np.arange(N) % 4 == code, 0]))
        assert f"In scattered these are under {first_codes} first codes" in page.inner_text("#about")
        page.click("#run-1 canvas", position={"x": 40, "y": 60})
        assert int(lit(page, 0)) > 0  # the other way round, of what is in view there
        assert lit(page, 1) == ""


def test_a_label_of_the_legend_lights_up(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"]) as page:
        _, labels = documents()
        hair = sum(label[1:] == ("hair shampoo",) for label in labels)
        page.click(".key:has-text('hair shampoo')")
        assert lit(page) == str(hair)
        page.click(".key:has-text('hair shampoo')")
        assert lit(page) == ""
        page.click(".key:has-text('no label')")
        assert lit(page) == str(sum(label == () for label in labels))
        page.select_option("select", "0")
        assert "Beauty" in page.inner_text(".keys")
        assert lit(page) == ""


def test_everything_by_keyboard(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"]) as page:
        page.focus("canvas")
        page.keyboard.press("ArrowRight")
        spoken = page.text_content("#spoken")
        assert "100 documents" in spoken
        page.keyboard.press("Enter")
        assert path_of(page) == spoken.split(",")[0]
        page.keyboard.press("Backspace")
        assert path_of(page) == ""
        page.focus("#list")
        page.keyboard.press("ArrowDown")
        chosen = page.inner_text("#list [aria-selected=true] strong")
        page.keyboard.press("Enter")
        assert path_of(page) == chosen
        page.click("[role=tab]:has-text('Documents')")
        page.focus("#list")
        page.keyboard.press("End")
        assert page.locator("#list [role=option]").count() < 40  # of 100: only those in sight
        assert page.get_attribute("#list [aria-selected=true]", "aria-posinset") == "100"


def test_the_pointer_is_told_what_it_is_on(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["one"]) as page:
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 40, box["y"] + 60)
        tip = page.inner_text("#tip")
        assert "100 documents" in tip
        assert "%" in tip


def test_without_labels_colour_is_size(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["unlabelled"]) as page:
        assert "colour is size" in page.inner_text("#legend")
        assert colours(page) > 5
        page.click("canvas", position={"x": 40, "y": 60})
        assert page.inner_text("#size") in {"44 documents, 11% of 400", "45 documents, 11% of 400"}


def test_what_gives_the_colours_can_be_chosen(browser: Any, pages: dict[str, Path], tmp_path: Path):
    with opened(browser, pages["one"]) as page:
        assert page.locator("#legend option").all_inner_texts() == ["label level 1", "label level 2", "size"]
        by_label = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.select_option("select", "size")
        assert "Colour is size" in page.inner_text("#legend")
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != by_label
        assert page.evaluate("location.hash") == "#level=size"
    with opened(browser, pages["one"], view="#level=size") as page:
        assert "Colour is size" in page.inner_text("#legend")
        page.select_option("select", "label level 2")
        assert page.evaluate("document.querySelector('canvas').toDataURL()") == by_label
        assert page.evaluate("location.hash") == ""
    many = tmp_path / "many.html"
    write_page(many, [shown("many", np.arange(N)[:, None] % 9, labels=[(f"label {n}",) for n in range(N)])])
    with opened(browser, many) as page:
        assert "Colour is size" in page.inner_text("#legend")
        by_size = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.select_option("select", "label")
        assert "other labels" in page.inner_text("#legend")
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != by_size


def test_one_document_alone(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["alone"]) as page:
        assert colours(page) > 1
        page.click("canvas", position={"x": 40, "y": 60})
        assert "5 · 0" in page.inner_text("#document")


def test_an_only_child_is_passed_through(browser: Any, pages: dict[str, Path]):
    with opened(browser, pages["ragged"]) as page:
        page.click("canvas", position={"x": 40, "y": 60})
        assert path_of(page) in {"0.0", "1.0", "2.0"}
        page.keyboard.press("Escape")
        assert path_of(page) == ""
