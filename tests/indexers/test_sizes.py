"""Sizes come from the number of documents unless given, and given ones that make no groups are told."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.config import from_mapping
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.registry import INDEXERS, make_indexer
from lmindexer.indexers.sizes import GROUP, default_sizes
from lmindexer.progress import Progress
from lmindexer.runs import Run

QUICK: dict[str, Any] = {
    "epochs": 1, "warmup_epochs": 0, "reconstructor_epochs": 0, "settle_epochs": 0, "device": "cpu", "vae_epochs": 1,
}  # fmt: skip
SIZED = [name for name in INDEXERS if name != "hc"]


@pytest.mark.parametrize(
    ("documents", "size"),
    [(2, 2), (20, 2), (80, 4), (300, 16), (2_000, 64), (5_000, 128), (12_101, 256), (100_000, 512), (1_000_000, 2048)],
)
def test_the_rule(documents: int, size: int):
    assert default_sizes(documents) == (size, size)


@given(st.integers(2, 10**7))
def test_codes_are_groups_and_no_more_documents_than_paths_where_both_can_be(documents: int):
    first, second = default_sizes(documents)
    assert first <= documents
    assert first == 2 or first * GROUP <= documents
    assert first * second >= 2 * documents or 2 * first * GROUP > documents


def fit(name: str, corpus: Corpus, out: Path, encoder: Path, said: io.StringIO, **settings: Any) -> Any:
    config = from_mapping({"indexer": name, "backbone": str(encoder), "embeddings": str(encoder)} | QUICK | settings)
    return make_indexer(config).fit(corpus, out, progress=Progress(said))


@pytest.mark.parametrize("name", SIZED)
def test_every_indexer_takes_them_from_the_documents(
    name: str, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    said = io.StringIO()
    indexer = fit(name, corpus, tmp_path / "run", checkpoints["bert"], said)
    assert indexer.ids.sizes == (4, 4)
    assert Run.open(tmp_path / "run").config.sizes == (4, 4)
    assert "sizes 4,4, from the number of documents; --sizes sets others\n" in said.getvalue()


def test_hierarchical_clustering_says_nothing_of_sizes(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    said = io.StringIO()
    fit("hc", corpus, tmp_path / "run", checkpoints["bert"], said)
    assert "sizes" not in said.getvalue()


@pytest.mark.parametrize(("name", "sizes", "told"), [
    ("lmindexer", (30, 2), True), ("lmindexer", (2, 27), True), ("lmindexer", (26, 26), False),
    ("rq-kmeans", (80, 80), True), ("random", (80, 80), False),
])  # fmt: skip
def test_sizes_that_make_no_groups_are_told(
    name: str, sizes: tuple[int, int], told: bool, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    said = io.StringIO()
    fit(name, corpus, tmp_path / "run", checkpoints["bert"], said, sizes=sizes)
    warned = [line for line in said.getvalue().splitlines() if line.startswith("warning: sizes")]
    assert len(warned) == told
    assert all("leave --sizes out for 4,4" in line for line in warned)


def test_one_indexer_learns_two_corpora(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    indexer = LMIndexer(from_mapping({"backbone": str(checkpoints["bert"])} | QUICK))
    assert indexer.fit(corpus, tmp_path / "all", progress=Progress(None)).config.sizes == (4, 4)
    few = Corpus.from_documents(Document(f"{n}", f"rose {n}") for n in range(6))
    assert indexer.fit(few, tmp_path / "few", progress=Progress(None)).config.sizes == (2, 2)


def test_a_run_that_goes_on_keeps_its_sizes(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch):
    indexer = LMIndexer(from_mapping({"backbone": str(checkpoints["bert"])} | QUICK))
    with monkeypatch.context() as patch:
        patch.setattr("lmindexer.indexers.lmindexer.save_ids", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            indexer.fit(corpus, tmp_path / "run", progress=Progress(None))
    monkeypatch.setattr("lmindexer.indexers.sizes.default_sizes", lambda documents: (2, 2))
    assert indexer.fit(corpus, tmp_path / "run", resume=True, progress=Progress(None)).ids.sizes == (4, 4)


def test_more_codes_than_documents_are_refused(corpus: Corpus, tmp_path: Path):
    with pytest.raises(InputError, match=r"sizes 4,81 .* documents \(80\); leave --sizes out for 4,4"):
        LMIndexer(sizes=(4, 81)).fit(corpus, tmp_path / "run")
    assert not (tmp_path / "run").exists()
