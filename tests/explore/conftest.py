"""A headless Chromium and pages of small runs, the browser made once a file, the pages once."""

from pathlib import Path

import numpy as np
import pytest
from browsing import N, scattered, shown, tidy

from chromium import browser  # noqa: F401 - a fixture
from lmindexer.explore.page import write_page


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    runs_of = {
        "one": [tidy()],
        "two": [tidy(), scattered()],
        "unlabelled": [shown("bare", np.arange(N)[:, None] % 9, labels=None)],
        "alone": [shown("alone", np.array([[5]]))],
        "ragged": [shown("ragged", np.stack([np.arange(N) % 3, np.arange(N) % 3 * 0, np.arange(N) % 5], axis=1))],
    }
    for name, runs in runs_of.items():
        write_page(folder / f"{name}.html", runs)
    return {name: folder / f"{name}.html" for name in runs_of}
