"""On a GPU nothing is left behind on the CPU, nor made there: tried on one that is made of a CPU (fake_device.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_device import fake_cuda
from journey import travel
from lmindexer.corpus.documents import Corpus


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fake_cuda(monkeypatch):
        yield


@pytest.mark.parametrize(
    ("backbone", "encoder"), [("bert", "frozen"), ("bert", "top"), ("t5", "full"), ("bart", "frozen")]
)
def test_what_is_done_on_a_gpu_is_done_there(
    backbone: str, encoder: str, gpu: None, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    travel(corpus, checkpoints[backbone], tmp_path, "cuda:0", encoder=encoder)
