"""What every room's tests share: quiet threads, checked shapes, tiny local checkpoints, a small corpus."""

# ruff: noqa: E402 - the environment is set before torch is imported

import os

os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

# the shapes in these modules' signatures are checked whenever a test calls them
install_import_hook(["lmindexer.learn.losses", "lmindexer.learn.batches"], "beartype.beartype")

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from lmindexer.corpus.documents import Corpus
from lmindexer.model.backbone import Backbone, load_backbone
from tiny import ADAPTERS, CHECKPOINTS, save_checkpoints, small_corpus, word_pieces

torch.set_num_threads(1)
# no test is timed: on a busy machine a true statement takes longer
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return small_corpus()


@pytest.fixture(scope="session")
def tokenizer(corpus: Corpus) -> Any:
    return word_pieces(corpus)


@pytest.fixture(scope="session")
def checkpoints(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"), corpus)


@pytest.fixture(params=CHECKPOINTS)
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Path:
    return checkpoints[request.param]


@pytest.fixture(params=ADAPTERS, ids="-".join)
def load(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Callable[..., Backbone]:
    """Loads a checkpoint with the adapter that it has where so much of its encoder learns."""
    name, encoder = request.param
    return partial(load_backbone, str(checkpoints[name]), encoder=encoder)


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a module's `home` as the working folder, to be spoiled."""
    folder = Path(shutil.copytree(home, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder
