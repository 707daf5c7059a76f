"""LMIndexer from Python: what it learned it gives back, and new documents get IDs that are theirs alone."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from lmindexer import Corpus, Document, InputError
from lmindexer.checkpoints import CHECKPOINT
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.progress import Progress

SMALL = {
    "sizes": (4, 4), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1, "settle_epochs": 3,
    "batch_size": 32, "device": "cpu", "indexer_learning_rate": 1e-3,
}  # fmt: skip
NEW = (
    "a new rose in old soil", "thunder over the harbour", "pan", "choir and piano", "old anchor", "the",
    "violin drum chord melody choir tempo piano flute the a with", "rose", "rose", "sunshine with hail", "spoon oven",
)  # fmt: skip


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def fitted(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> LMIndexer:
    indexer = LMIndexer(backbone=str(checkpoints["bert"]), precision=request.param, **SMALL)
    return indexer.fit(corpus, tmp_path_factory.mktemp("runs") / request.param, progress=Progress(None))


@pytest.fixture(scope="module")
def new() -> Corpus:
    return Corpus.from_documents(Document(f"new{n}", text) for n, text in enumerate(NEW))


def folder_of(indexer: LMIndexer) -> Path:
    assert indexer.run is not None
    return indexer.run.path


def test_learned_documents_keep_their_ids(fitted: LMIndexer, corpus: Corpus):
    loaded = LMIndexer.load(folder_of(fitted))
    assert loaded.config == fitted.config
    assert loaded.ids == fitted.ids
    assert loaded.index(corpus) == fitted.ids
    assert loaded.index(corpus).doc_ids == corpus.doc_ids


def test_a_checkpoint_holds_nothing_that_never_changes(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lmindexer.indexers.lmindexer.learn_ids", lambda learner, doc_ids: learner.trainer.finish("c1"))
    with pytest.raises(AttributeError):  # there are no IDs
        LMIndexer(backbone=str(checkpoints["bert"]), **SMALL).fit(corpus, tmp_path / "run", progress=Progress(None))
    with safe_open(tmp_path / "run" / CHECKPOINT, "pt") as file:
        names = set(file.keys())
    assert "model.reconstructor.bias" in names
    assert not [name for name in names if "vocabulary" in name or ".model." in name]


def test_the_documents_come_back(fitted: LMIndexer, corpus: Corpus):
    assert list(LMIndexer.load(folder_of(fitted)).corpus()) == list(corpus)


def test_new_documents_get_ids_of_their_own_which_are_always_the_same(fitted: LMIndexer, new: Corpus):
    ids = fitted.index(new)
    assert ids.doc_ids == new.doc_ids
    paths = [ids[doc_id] for doc_id in ids]
    assert len(set(paths)) == len(paths)
    assert fitted.ids is not None
    assert not set(paths) & {fitted.ids[doc_id] for doc_id in fitted.ids}
    first, second = (LMIndexer.load(folder_of(fitted)) for _ in range(2))
    assert first.index(new) == second.index(new) == ids


def test_the_codes_of_a_new_document_do_not_depend_on_its_company(fitted: LMIndexer, new: Corpus, corpus: Corpus):
    ids = fitted.index(new)
    documents = list(new)
    backwards = fitted.index(Corpus.from_documents(reversed(documents)))
    among_known = fitted.index(Corpus.from_documents([*corpus, *documents]))
    for document in documents:
        alone = fitted.index(Corpus.from_documents([document]))
        learned = {table[document.id][:2] for table in (ids, backwards, among_known, alone)}
        assert len(learned) == 1, document


def test_a_learned_text_under_a_new_name_gets_its_codes_and_another_suffix(fitted: LMIndexer, corpus: Corpus):
    assert fitted.run is not None
    assert fitted.ids is not None
    copies = Corpus.from_documents(Document(f"copy of {d.id}", d.text) for d in corpus)
    ids = fitted.index(copies)
    same = (ids.codes == fitted.ids.codes).all(1)
    assert same.mean() >= fitted.run.read_json("report.json")["agreement"]["all"] - 0.05
    assert same.mean() > 0.5
    paths = {fitted.ids[doc_id] for doc_id in fitted.ids} | {ids[doc_id] for doc_id in ids}
    assert len(paths) == 2 * len(corpus)


@pytest.mark.parametrize(
    ("backbone", "encoder"), [("bert", "top"), ("bert", "full"), ("t5", "full"), ("pair", "frozen"), ("bart", "frozen")]
)
def test_the_model_comes_back_from_the_folder(
    backbone: str, encoder: str, corpus: Corpus, new: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    settings = SMALL | {"backbone": str(checkpoints[backbone]), "encoder": encoder, "top_layers": 1}
    settings |= {"sizes": (8, 5, 3), "encoder_learning_rate": 1e-2, "settle_epochs": 1, "precision": "fp32"}
    fitted = LMIndexer(**settings).fit(corpus, tmp_path / "run", progress=Progress(None))
    loaded = LMIndexer.load(tmp_path / "run")
    assert np.array_equal(loaded.index(new).paths, fitted.index(new).paths)
    assert fitted.ids is not None
    assert fitted.ids.sizes == (8, 5, 3)


def test_an_indexer_that_has_not_learned_says_so(new: Corpus):
    with pytest.raises(InputError, match=r"not learned yet; call fit\(corpus, out=\.\.\.\) or load"):
        LMIndexer().index(new)
    with pytest.raises(InputError, match=r"not learned yet; call fit"):
        LMIndexer().corpus()


def test_settings_are_checked():
    assert LMIndexer(sizes=(3, 2), seed=1).config.sizes == (3, 2)
    with pytest.raises(InputError, match="unknown key 'size'; did you mean 'sizes'"):
        LMIndexer(size=3)
    with pytest.raises(InputError, match="LMIndexer is not hc; use TwoStepIndexer"):
        LMIndexer(indexer="hc")
    with pytest.raises(InputError, match="not both"):
        LMIndexer(LMIndexer().config, seed=3)
