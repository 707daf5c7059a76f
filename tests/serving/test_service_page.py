"""The page in a real browser: it finds, filters, recommends, explains, lights up the tree, and runs no document."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loopback import Client

from lmindexer.corpus.documents import Corpus
from lmindexer.methods.registry import load_retriever

DESKTOP, PHONE = (1280, 800), (390, 844)


@contextmanager
def opened(browser: Any, client: Client, size: tuple[int, int] = DESKTOP, **settings: Any) -> Iterator[Any]:
    """The page; no error may have happened, and nobody but the service may have been asked."""
    wrong: list[str] = []
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, **({"reduced_motion": "reduce"} | settings)
    )
    context.set_default_timeout(0)  # a busy machine takes its time
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    home = f"http://127.0.0.1:{client.port}/"
    page.on("request", lambda request: None if request.url.startswith((home, "data:")) else wrong.append(request.url))
    page.goto(home)
    page.wait_for_selector("html[data-state=ready]", state="attached")
    page.wait_for_selector("#tree[data-state=ready]", state="attached")
    yield page
    context.close()
    assert not wrong


def search(page: Any, query: str) -> None:
    page.fill("#query", query)
    answered(page, query)


def answered(page: Any, *asked: str) -> None:
    """Wait until what is shown is the answer to this."""
    page.wait_for_function(
        "asked => Object.values(JSON.parse(document.documentElement.dataset.asked || '{}')).flat().join() === asked",
        arg=",".join(asked),
    )


def shown(page: Any) -> list[str]:
    return page.locator("#hits li code").all_inner_texts()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_finds_and_lights_up_the_tree(browser: Any, client: Client, learned: Path, size: tuple[int, int]):
    (hits,) = load_retriever(learned).search(["old rose"], 20)
    grounds = set()
    with opened(browser, client, size, color_scheme="light") as page:
        search(page, "old rose")
        assert shown(page) == [hit.doc_id for hit in hits]
        assert page.get_attribute("#tree .where", "data-lit") == "20"
        assert page.locator("#hits li:first-child .part").all_inner_texts() == ["c1", "c2"]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        code = page.inner_text("#hits li:first-child .step b >> nth=0")
        page.click("#hits li:first-child .step >> nth=0")
        assert page.get_attribute("#tree", "data-path").split(".")[0] == code
        search(page, "")
        assert page.get_attribute("#tree .where", "data-lit") == ""
    assert len(grounds) == 2


def test_a_document_is_shown_and_not_run(browser: Any, client: Client):
    with opened(browser, client) as page:
        search(page, "rose <img src=x onerror=document.title='hacked'>")
        page.fill("#label", "<i>odd</i>")
        page.dispatch_event("#label", "change")
        page.wait_for_function("() => document.querySelectorAll('#hits li').length === 2")
        assert set(shown(page)) == {"a/b?c#d%2e", "Ünï"}
        page.click("#hits li:has-text('a/b?c#d%2e') .title")
        page.wait_for_selector("#about h2")
        assert page.inner_text("#about h2") == "rose <script>document.title = 'hacked'</script> & <b>soil</b>"
        assert page.inner_text("#filters .chip span") == "<i>odd</i>"
        assert page.title() == "ids"
        page.click("#filters .chip button")
        page.wait_for_function("() => document.querySelectorAll('#hits li').length === 20")


def test_it_says_why(browser: Any, client: Client):
    with opened(browser, client) as page:
        search(page, "rose in old soil")
        page.click("#hits li:first-child .title")
        page.click(".ask")
        page.wait_for_selector("#why[data-state=ready]")
        why = page.inner_text("#why")
        assert why.startswith("Number 1 of what is found.")
        assert page.locator("#why tbody tr").count() == 2
        assert "Dense: cosine 0." in why


def test_clicks_build_a_history(browser: Any, client: Client, documents: Corpus):
    with opened(browser, client) as page:
        search(page, "drum")
        first = shown(page)[0]
        page.click("#hits li:first-child .add")
        page.click("#mode-recommend")
        answered(page, first)
        assert first not in shown(page)
        second = shown(page)[0]
        page.click("#hits li:first-child .add")
        answered(page, first, second)
        page.fill("#query", "a/b?c#d%2e")
        page.press("#query", "Enter")
        answered(page, first, second, "a/b?c#d%2e")
        page.click("#history .chip button >> nth=0")
        answered(page, second, "a/b?c#d%2e")
        page.click("#mode-search")
        answered(page, "drum")


def test_everything_by_keyboard(browser: Any, client: Client):
    with opened(browser, client) as page:
        assert page.evaluate("document.activeElement.id") == "query", "one may type at once"
        page.keyboard.type("violin")
        answered(page, "violin")
        found = shown(page)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_selector("#about h2")
        assert page.inner_text("#about code") == found[1]
        page.keyboard.press("Escape")
        assert page.is_hidden("#about")
        assert page.evaluate("document.activeElement.closest('li').querySelector('code').textContent") == found[1]
        page.keyboard.press("h")
        assert page.inner_text("#history > span") == "History (1)"
        page.focus("canvas")
        page.keyboard.press("Enter")
        assert page.get_attribute("#tree", "data-path") != ""
        page.keyboard.press("Backspace")
        assert page.get_attribute("#tree", "data-path") == ""
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "query"


def test_that_nothing_is_found_is_told(browser: Any, client: Client):
    with opened(browser, client) as page:
        nothing = {"answers": [{"hits": []}], "snapshot": 1}
        page.route("**/search", lambda route: route.fulfill(status=200, json=nothing))
        search(page, "rose")
        assert page.inner_text("#status") == "Nothing found"
