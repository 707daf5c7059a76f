"""Small runs as pages, and what a browser shows of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.explore.page import Shown
from lmindexer.ids.table import IdTable

DESKTOP, PHONE = (1280, 800), (390, 844)
KINDS = ["nail polish", "hair shampoo", "lip stick", "face cream"]
N = 400
ZOOM = {"x": 40, "y": 60}  # where a click goes into the largest tile


def documents() -> tuple[list[str], list[tuple[str, ...]]]:
    texts = [f"{KINDS[n % 4]} number{n} <b>bold</b> </script>" for n in range(N)]
    return texts, [("Beauty", KINDS[n % 4]) if n % 7 else () for n in range(N)]


def shown(name: str, codes: np.ndarray, **settings: Any) -> Shown:
    texts, labels = documents()
    ids = tuple(f"doc-{n:03}" for n in range(len(codes)))
    table = IdTable(ids, codes.astype(np.int32), (64,) * codes.shape[1]).with_suffix()
    return Shown(name, table, **({"texts": texts[: len(codes)], "labels": labels[: len(codes)]} | settings))


def tidy() -> Shown:
    """First code = kind, second = one of 8."""
    n = np.arange(N)
    return shown("tidy", np.stack([n % 4, n // 4 % 8], axis=1))


def scattered() -> Shown:
    rng = np.random.default_rng(0)
    return shown("scattered", rng.integers(0, 16, (N, 2)))


@contextmanager
def opened(
    browser: Any, path: Path, size: tuple[int, int] = DESKTOP, view: str = "", script: str = "", **settings: Any
) -> Iterator[Any]:
    """A page whose documents are there. No error, and no request but for the file itself, may have happened.

    `view` is what the address has from its "#" on; `script` runs before those of the page.
    """
    wrong: list[str] = []
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, **({"reduced_motion": "reduce"} | settings)
    )
    context.set_default_timeout(0)  # a busy machine takes its time
    page = context.new_page()
    page.add_init_script(script)
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: wrong.append(request.url) if request.url.split("#")[0] != path.as_uri() else None
    )
    page.goto(path.as_uri() + view)
    page.wait_for_selector("html[data-state=ready]", state="attached")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    yield page
    context.close()
    assert not [what for what in wrong if not what.startswith("data:")]


def colours(page: Any, figure: int = 0) -> int:
    """How many different colours the canvas shows; 1 is blank."""
    return page.evaluate(
        """at => {
          const { width, height } = document.querySelectorAll("canvas")[at];
          const copy = Object.assign(document.createElement("canvas"), { width, height });
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(document.querySelectorAll("canvas")[at], 0, 0);
          const { data } = context.getImageData(0, 0, width, height);
          return new Set(new Uint32Array(data.buffer)).size;
        }""",
        figure,
    )


def path_of(page: Any, figure: int = 0) -> str:
    return page.get_attribute(f"#run-{figure}", "data-path")


def lit(page: Any, figure: int = 0) -> str:
    return page.get_attribute(f"#run-{figure} .where", "data-lit")


def where(page: Any, figure: int = 0) -> str:
    return page.inner_text(f"#run-{figure} .where")


def search(page: Any, query: str) -> None:
    for typed in ("", query):  # so that what is waited for is the answer to this query
        page.fill("#query", typed)
        page.wait_for_function("typed => !typed === !document.getElementById('found').textContent", arg=typed)
