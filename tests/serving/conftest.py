"""A tiny run that is served on the loopback address, with documents whose ids and texts are odd."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Client, serving

from chromium import browser  # noqa: F401 - a fixture
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.serving.served import Served
from small_tasks import LEARN, learn

ODD = [
    Document("a/b?c#d%2e", "rose <script>document.title = 'hacked'</script> & <b>soil</b>", ("<i>odd</i>", "of > it")),
    Document("Ünï", "العربية rose 薔薇", ("<i>odd</i>",)),
]


@pytest.fixture(scope="package")
def documents(corpus: Corpus) -> Corpus:
    return Corpus.from_documents([*corpus, *ODD])


@pytest.fixture(scope="package")
def learned(documents: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    return learn(documents, folder / "run", **LEARN | {"indexer": "lmindexer", "backbone": str(checkpoints["bert"])})


@pytest.fixture
def run(learned: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(learned, tmp_path / "run"))


@pytest.fixture(scope="package")
def client(learned: Path) -> Iterator[Client]:
    """One run that generates IDs for texts, and the same documents by a method that answers histories, too."""
    with serving(Served("ids", learned), Served("any", learned, "random")) as service:
        yield service
