"""The nearest vectors: looked through in parts they are those of one matrix product."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus
from lmindexer.ids.ties import tie_ranks
from lmindexer.methods import nearest
from lmindexer.methods.dense import KEPT, kept_as
from lmindexer.methods.nearest import Nearest
from lmindexer.methods.registry import load_retriever
from lmindexer.runs.contents import listed_names
from small_tasks import learn

N = 2000


def test_faiss_gives_the_answers_of_the_matrix_product(monkeypatch: pytest.MonkeyPatch):
    """Of 2,000 vectors 300 are equal and nearest to the first question, and are asked for by k of any size."""
    pytest.importorskip("faiss")
    torch.manual_seed(0)
    vectors = F.normalize(torch.randn(N, 24), dim=1)
    vectors[100:400] = vectors[7]
    asked = torch.cat([vectors[7:8], F.normalize(torch.randn(9, 24), dim=1)])
    doc_ids = [f"d{n}" for n in range(N)]
    near = Nearest(vectors, doc_ids, tie_ranks(doc_ids))
    some = np.flatnonzero(np.arange(N) % 3 == 0)
    ways = [(k, rows) for k in (1, 10, 250, N) for rows in (None, some)]
    expected = [near.hits(asked, k, rows) for k, rows in ways]
    used = []
    by_faiss = nearest._by_faiss
    monkeypatch.setattr(nearest, "_by_faiss", lambda *given: used.append(len(given[1])) or by_faiss(*given))
    monkeypatch.setattr(nearest, "MANY", 600)
    for (k, rows), lists in zip(ways, expected, strict=True):
        found = near.hits(asked, k, rows)
        assert [[hit.doc_id for hit in hits] for hits in found] == [[hit.doc_id for hit in hits] for hits in lists]
        for hits, others in zip(found, lists, strict=True):
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in others], abs=2e-5)
    assert sorted(set(used)) == [len(some), N]
    used.clear()
    monkeypatch.setattr(nearest, "is_installed", lambda package: False)
    assert near.hits(asked, 10) == expected[2]
    assert not used


def test_another_encoder_keeps_its_vectors_apart(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    run, encoder = (
        learn(corpus, tmp_path / "run", indexer="none"),
        Path(shutil.copytree(checkpoints["bert"], tmp_path / "bert")),
    )
    first = load_retriever(run, "dense", backbone=str(encoder))
    assert first.settings["encoder"] == str(encoder)
    hits = first.search(["rose in old soil"], 9)
    kept = {path.name for path in run.glob("dense*.parquet")}
    assert kept == {kept_as(str(encoder))}
    assert load_retriever(run, "dense", backbone=str(encoder)).search(["rose in old soil"], 9) == hits
    assert load_retriever(run, "dense").search(["rose in old soil"], 9) != hits
    assert {path.name for path in run.glob("dense*.parquet")} == {*kept, KEPT}
    assert not any(name.startswith("dense") for name in listed_names(run)), "they can be made again"
    (encoder / "more.txt").write_text("another model, perhaps")
    assert kept_as(str(encoder)) not in kept
