"""What holds for every indexer, by its being listed."""

from pathlib import Path

import numpy as np
import pytest

from lmindexer.config import INDEXER_NAMES, LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.explore.report import NAMES
from lmindexer.indexers.registry import INDEXERS, Indexer, load_indexer, make_indexer
from lmindexer.progress import Progress

NEW = Corpus.from_documents(
    Document(f"new{n}", text) for n, text in enumerate(["a new rose in old soil", "thunder", "rose", "rose", "", "pan"])
    if text
)  # fmt: skip


def config_of(name: str, checkpoints: dict[str, Path], **changes: object) -> LearnConfig:
    settings = {
        "indexer": name, "sizes": (6, 4), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1,
        "settle_epochs": 2, "batch_size": 32, "device": "cpu", "clusters": 3, "leaf": 8, "vae_epochs": 5,
        "vae_latent": 8, "backbone": str(checkpoints["bert"]), "embeddings": str(checkpoints["bert"]),
        "precision": "fp32",
    }  # fmt: skip
    return from_mapping(settings | changes)


def fit(config: LearnConfig, corpus: Corpus, out: Path) -> Indexer:
    return make_indexer(config).fit(corpus, out, progress=Progress(None))


@pytest.fixture(scope="module", params=list(INDEXERS))
def fitted(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Indexer:
    out = tmp_path_factory.mktemp("runs") / request.param
    return fit(config_of(request.param, checkpoints), corpus, out)


def test_every_name_is_listed_everywhere():
    assert tuple(INDEXERS) == INDEXER_NAMES
    assert set(NAMES) == set(INDEXER_NAMES)


def test_every_document_has_an_id_of_its_own(fitted: Indexer, corpus: Corpus):
    assert fitted.ids is not None
    fitted.ids.check()
    assert fitted.ids.doc_ids == corpus.doc_ids
    assert len({fitted.ids[doc_id] for doc_id in corpus.doc_ids}) == len(corpus)


def test_the_same_seed_gives_the_same_ids(
    fitted: Indexer, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    again = fit(fitted.config, corpus, tmp_path / "again")
    assert again.ids == fitted.ids


def test_what_was_saved_comes_back(fitted: Indexer, corpus: Corpus):
    assert fitted.run is not None
    loaded = load_indexer(fitted.run.path)
    assert type(loaded) is type(fitted)
    assert loaded.config == fitted.config
    assert loaded.ids == fitted.ids
    assert loaded.index(corpus) == fitted.ids
    assert loaded.index(NEW) == fitted.index(NEW)
    assert list(loaded.corpus()) == list(corpus)


def test_new_documents_get_ids_of_their_own_whatever_their_company(fitted: Indexer, corpus: Corpus):
    ids = fitted.index(NEW)
    assert fitted.ids is not None
    taken = {fitted.ids[doc_id] for doc_id in fitted.ids}
    assert len(taken | {ids[doc_id] for doc_id in ids}) == len(corpus) + len(NEW)
    for document in NEW:
        alone = fitted.index(Corpus.from_documents([document]))
        assert alone.codes.tolist() == [ids.codes[ids.row_of[document.id]].tolist()]
    assert (ids.codes >= 0).all()
    assert (ids.codes < np.array(ids.sizes)).all()


def test_the_report_judges_it(fitted: Indexer):
    assert fitted.run is not None
    report = fitted.run.read_json("report.json")
    assert next(iter(report["quality"])) == fitted.config.indexer
    assert report["seconds"] >= 0


@pytest.mark.parametrize("name", list(INDEXERS))
def test_what_cannot_be_told_apart_is_refused_and_nothing_is_left(
    name: str, checkpoints: dict[str, Path], tmp_path: Path
):
    one = Corpus.from_documents([Document("a", "rose")])
    same = Corpus.from_documents(Document(f"d{n}", "rose") for n in range(8))
    for corpus, reason in ((one, "only one document.*give at least two"), (same, "all 8 documents have the same")):
        with pytest.raises(InputError, match=reason):
            fit(config_of(name, checkpoints), corpus, tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", list(INDEXERS))
def test_two_documents_are_enough(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    two = Corpus.from_documents([Document("a", "rose in the garden"), Document("b", "thunder and storm")])
    ids = fit(config_of(name, checkpoints, sizes=(2, 2)), two, tmp_path / "run").ids
    assert ids is not None
    assert ids["a"] != ids["b"]


def test_a_finished_run_resumed_stays(fitted: Indexer, corpus: Corpus):
    assert fitted.run is not None
    resumed = make_indexer(fitted.config).fit(corpus, fitted.run.path, resume=True, progress=Progress(None))
    assert resumed.ids == fitted.ids


@pytest.mark.parametrize("name", INDEXERS)
def test_documents_that_are_no_corpus_are_refused(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    with pytest.raises(InputError, match=r"must be a Corpus, not 'items.jsonl'; make one with Corpus.read"):
        make_indexer(config_of(name, checkpoints)).fit("items.jsonl", tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
