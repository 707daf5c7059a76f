"""How heavy the page of `lmindexer explore` is: seconds to write, file size, first paint and zoom in Chromium.

    python -m bench.explore --documents 30000,100000

The documents are docstrings of the installed packages, repeated under new ids; c1 follows their order, c2
is random. Needs playwright and a Chromium on the PATH.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.corpus.sources import installed_python_documentation
from lmindexer.explore.page import Shown, write_page
from lmindexer.ids.table import IdTable
from lmindexer.tables import head_lines, line

# resolves with the milliseconds between the frames of the second that follows a click into the picture
FRAMES = """() => new Promise(done => {
  const gaps = []; let last = performance.now();
  const tick = now => {
    gaps.push(now - last);
    last = now;
    gaps.length < 60 ? requestAnimationFrame(tick) : done(gaps);
  };
  requestAnimationFrame(tick);
})"""


def shown(N: int) -> Shown:
    """A run of N documents with 256 x 256 codes."""
    corpus = installed_python_documentation(limit=10_000)
    documents = [corpus[n % len(corpus)] for n in range(N)]
    codes = np.column_stack([np.arange(N) * 256 // N, np.random.default_rng(0).integers(0, 256, N)]).astype(np.int32)
    table = IdTable(tuple(f"{d.id} {n}" for n, d in enumerate(documents)), codes, (256, 256)).with_suffix()
    return Shown(f"{N:,} docstrings", table, [d.text for d in documents], [d.label for d in documents])


def measured(path: Path) -> dict[str, float]:
    """First paint and the longest and median frame of a zoom, in milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as program:
        browser = program.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(path.as_uri())
        page.wait_for_function("() => performance.getEntriesByType('paint').length > 0")
        paint: Any = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        page.wait_for_timeout(2000)
        page.mouse.click(200, 300)
        frames: list[float] = page.evaluate(FRAMES)
        browser.close()
    return {"first paint": paint, "median frame": statistics.median(frames), "longest frame": max(frames)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", default="30000,100000")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    measures = ("write, s", "file, MB", "first paint, ms", "median frame, ms", "longest frame, ms")
    print("\n".join(head_lines(("documents", "runs", *measures), texts=())))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        for N in map(int, arguments.documents.split(",")):
            run = shown(N)
            for runs in ([run], [run, Shown("again", run.table, run.texts, run.labels)]):
                began = time.monotonic()
                write_page(path, runs)
                seconds = time.monotonic() - began
                rounds = [measured(path) for _ in range(arguments.repeat)]
                times = [f"{statistics.median(r[name] for r in rounds):.0f}" for name in rounds[0]]
                size = path.stat().st_size / 1e6
                print(line((f"{N:,}", str(len(runs)), f"{seconds:.1f}", f"{size:.1f}", *times)), flush=True)


if __name__ == "__main__":
    main()
