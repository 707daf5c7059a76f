"""What holds for every indexer, by its being listed."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.config import INDEXER_NAMES, LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.explore.report import NAMES, summary
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.indexers.check import check_run
from lmindexer.indexers.kept_vectors import load_given
from lmindexer.indexers.registry import INDEXERS, Indexer, load_indexer, make_indexer
from lmindexer.indexers.store import load_documents
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.progress import Progress
from lmindexer.runs import Run
from lmindexer.settings import same_settings
from tiny import TOPICS, WIDTH

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
    assert same_settings(loaded.config, fitted.config)
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
    with pytest.raises(InputError, match=r"must be a Corpus, not 'items.jsonl'; make one with Corpus.of"):
        make_indexer(config_of(name, checkpoints)).fit("items.jsonl", tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


READERS = [name for name in INDEXERS if name != "random"]
BANNER = "the old rose and a small pan of good soil"


@pytest.fixture(scope="module")
def behind_a_banner() -> Corpus:
    """64 documents of four kinds that begin alike; what tells them apart comes after 8 tokens."""
    words = [topic.split() for topic in list(TOPICS.values())[:4]]
    texts = (" ".join([BANNER, *(words[n % 4][n // 4 % 8] for _ in range(6)), *words[n % 4] * 2]) for n in range(64))
    return Corpus.from_documents(Document(str(n), text) for n, text in enumerate(texts))


@pytest.mark.parametrize("name", READERS)
def test_documents_behind_one_banner_are_told_apart_by_what_follows_where_all_is_read(
    name: str, behind_a_banner: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    how = {"max_tokens": 8, "sizes": (4, 4)}
    cut = fit(config_of(name, checkpoints, **how), behind_a_banner, tmp_path / "cut")
    assert cut.ids is not None
    assert len(np.unique(cut.ids.codes, axis=0)) == 1, "the encoder sees the banner alone"
    pooled = fit(config_of(name, checkpoints, long="pool", **how), behind_a_banner, tmp_path / "pool")
    assert pooled.ids is not None
    assert len(np.unique(pooled.ids.codes[:, 0])) > 1
    reports = [Run.open(tmp_path / folder).read_json("report.json") for folder in ("cut", "pool")]
    of_first = [next(iter(report["quality"].values()))["positions"][0]["perplexity"] for report in reports]
    assert of_first[0] == 1
    assert of_first[1] > 1.8
    assert reports[0]["unseen"]["same_when_cut"] == 64
    assert reports[1]["unseen"]["same_when_cut"] == 0


@pytest.mark.parametrize("name", READERS)
def test_documents_that_come_later_are_read_as_the_learned_ones_were(
    name: str, behind_a_banner: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    config = config_of(name, checkpoints, long="pool", max_tokens=8, sizes=(4, 4), settle_epochs=10)
    fitted = fit(config, behind_a_banner, tmp_path / "run")
    assert fitted.ids is not None
    loaded = load_indexer(tmp_path / "run")
    assert loaded.config.long == "pool"
    copies = Corpus.from_documents(Document(f"copy {document.id}", document.text) for document in behind_a_banner)
    codes = loaded.index(copies).codes
    assert len(np.unique(codes[:, 0])) > 1
    assert (codes[:, 0] == fitted.ids.codes[:, 0]).mean() > 0.9


def test_a_run_of_before_documents_could_be_read_in_pieces_opens_as_cut(tmp_path: Path):
    run = Run.create(tmp_path / "run", from_mapping({"long": "pool"}), {})
    path = run.path / "config.toml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert Run.open(run.path, finished=False).config.long == "pool"
    path.write_text("".join(line for line in lines if not line.startswith("long")), encoding="utf-8")
    assert Run.open(run.path, finished=False).config.long == "cut"


@pytest.mark.parametrize("encoder", ["top", "full"])
def test_an_encoder_that_learns_reads_no_pieces(encoder: str, checkpoints: dict[str, Path]):
    with pytest.raises(InputError, match=rf"long pool reads documents in pieces once.*encoder is {encoder}; leave one"):
        config_of("lmindexer", checkpoints, long="pool", encoder=encoder)
    assert config_of("hc", checkpoints, long="pool", encoder=encoder).long == "pool"


@pytest.mark.parametrize("name", READERS)
def test_a_limit_without_room_for_text_is_refused_and_nothing_is_left(
    name: str, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    with pytest.raises(InputError, match=r"max_tokens 1 leaves no room for text.*give at least 2"):
        fit(config_of(name, checkpoints, max_tokens=1), corpus, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_seen_and_what_collapsed_is_told(name: str, checkpoints: dict[str, Path], tmp_path: Path):
    texts = ["洗 发", "护 发", "rose soil soil soil soil soil soil"]
    corpus = Corpus.from_documents(Document(str(n), texts[n % 3]) for n in range(48))
    stream = io.StringIO()
    config = config_of(name, checkpoints, max_tokens=5, sizes=(4, 4), leaf=20)
    fitted = make_indexer(config).fit(corpus, tmp_path / "run", progress=Progress(None, warnings=stream))
    lines = stream.getvalue().splitlines()
    notes = [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    warnings = [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]
    assert len(notes) == 3
    assert fitted.run is not None
    report = fitted.run.read_json("report.json")
    assert report["unseen"]["notes"] == notes
    assert report["warnings"]
    assert warnings[-len(report["warnings"]) :] == report["warnings"]
    told = " ".join(summary(report))
    assert all(f"Note: {note}." in told for note in notes)
    assert all(f"Warning: {warning}." in told for warning in report["warnings"])
    later = io.StringIO()
    new = Corpus.from_documents([Document("new", "洗"), Document("0", texts[0])])
    load_indexer(tmp_path / "run").index(new, progress=Progress(None, warnings=later))
    (note,) = later.getvalue().splitlines()
    assert note.startswith("note: 100% of the tokens are unknown to the tokenizer of ")
    assert "(at least half in 1 of 1 document); to see more, learn anew with" in note


WIDTHS = [8, WIDTH, 50]  # narrower than the model's states, as wide, wider


def vectors_of(corpus: Corpus, width: int) -> dict[str, np.ndarray]:
    """A vector a document: that of its topic, and something of its own."""
    dice = np.random.default_rng(width)
    topics = {topic: dice.normal(size=width) for topic in TOPICS}
    own = dice.normal(size=(len(corpus), width))
    return {d.id: (3 * topics[d.label[0]] + own[n]).astype(np.float32) for n, d in enumerate(corpus)}


@pytest.fixture(scope="module")
def images(corpus: Corpus) -> Corpus:
    """The documents without their texts."""
    return Corpus.from_documents((Document(d.id, "", d.label) for d in corpus), keep_empty=True)


@pytest.fixture(scope="module", params=[(name, width) for name in INDEXERS for width in WIDTHS])
def of_vectors(
    request: pytest.FixtureRequest,
    images: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Indexer:
    """Learned from the vectors of the first 70 documents alone."""
    name, width = request.param
    config = config_of(name, checkpoints, embeddings="bundled", settle_epochs=10, epochs=2)
    some, vectors = Corpus.from_documents(list(images)[:70], keep_empty=True), vectors_of(images, width)
    out = tmp_path_factory.mktemp("runs") / name
    return make_indexer(config).fit(some, out, vectors=vectors, progress=Progress(None))


def test_vectors_are_enough(of_vectors: Indexer, images: Corpus):
    assert of_vectors.ids is not None
    assert of_vectors.run is not None
    of_vectors.ids.check()
    width = of_vectors.run.facts["vectors"]["width"]
    vectors, loaded = vectors_of(images, width), load_indexer(of_vectors.run.path)
    assert loaded.config.given_vectors
    found = loaded.index(images, vectors=vectors)
    assert found.select(range(70)) == of_vectors.ids
    assert found == of_vectors.index(images, vectors=np.stack(list(vectors.values())))
    alone = Corpus.from_documents([images[75]], keep_empty=True)
    assert loaded.index(alone, vectors={"doc75": vectors["doc75"]}).codes.tolist() == [found.codes[75].tolist()]
    if of_vectors.config.indexer != "random":
        copies = Corpus.from_documents(
            (Document(f"copy {d.id}", "", d.label) for d in list(images)[:70]), keep_empty=True
        )
        codes = loaded.index(copies, vectors=np.stack(list(vectors.values())[:70])).codes
        assert (codes == of_vectors.ids.codes).mean() > 0.9, "who looks the same gets the same"
        same_topic = np.array([[a.label[0] == b.label[0] for a in list(images)[:70]] for b in list(images)[:70]])
        together = codes[:, :1] == codes[:, 0]
        assert together[same_topic].mean() > together[~same_topic].mean() + 0.3


def test_the_report_names_the_vectors_and_judges_by_them(of_vectors: Indexer):
    assert of_vectors.run is not None
    report = of_vectors.run.read_json("report.json")
    facts = of_vectors.run.facts["vectors"]
    assert report["vectors"] == facts | {
        "notes": ["ids in the given vectors that no document here has: 10; their vectors are left out"]
    }
    assert any(
        line.startswith(f"Its vectors were brought: the given vectors, {facts['width']} numbers")
        for line in summary(report)
    )
    assert "unseen" not in report
    assert "rebuilding" not in report
    recall = report["quality"][of_vectors.config.indexer]["neighbour_recall"]
    assert recall["words"] == [None] * len(recall["words"])
    assert recall["embedding"][0] > (0.1 if of_vectors.config.indexer == "random" else 0.3)


def test_new_documents_bring_vectors_of_the_same_width(of_vectors: Indexer, images: Corpus):
    assert of_vectors.run is not None
    with pytest.raises(
        InputError, match=r"was learned from vectors \(given vectors, of \d+ numbers\), so 'doc70' needs one"
    ):
        of_vectors.index(images)
    with pytest.raises(InputError, match=r"vectors of 3 numbers, and the run was learned from vectors of \d+; make"):
        of_vectors.index(images, vectors=np.ones((80, 3)))
    learned = Corpus.from_documents(list(images)[:5], keep_empty=True)
    assert of_vectors.index(learned).doc_ids == learned.doc_ids, "who is known needs none"


def test_documents_with_vectors_come_and_go(of_vectors: Indexer, images: Corpus, tmp_path: Path):
    assert of_vectors.run is not None
    run = Path(shutil.copytree(of_vectors.run.path, tmp_path / "run"))
    vectors = vectors_of(images, of_vectors.run.facts["vectors"]["width"])
    with pytest.raises(InputError, match="so 'doc70' needs one, too"):
        add_documents(run, images)
    added = add_documents(run, images, vectors=vectors)
    assert (len(added.ids), added.known) == (10, 70)
    remove_documents(run, ["doc3", "doc72"])
    assert check_run(run) == []
    stay = load_documents(Run.open(run))
    kept = load_given(Run.open(run), stay)
    np.testing.assert_array_equal(kept, np.stack([vectors[doc_id] for doc_id in stay.doc_ids]))
    assert load_indexer(run).index(images, vectors=vectors).doc_ids == images.doc_ids


@pytest.mark.parametrize("name", [name for name in INDEXERS if name not in ("lmindexer", "random")])
def test_vectors_of_an_encoder_brought_in_a_file_give_the_ids_of_that_encoder(
    name: str, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    of_texts = fit(config_of(name, checkpoints), corpus, tmp_path / "texts")
    assert isinstance(of_texts, TwoStepIndexer)
    np.save(tmp_path / "half.npy", of_texts.vectors(corpus).numpy())
    np.save(tmp_path / "single.npy", of_texts.vectors(corpus).float().numpy())
    new = of_texts.vectors(NEW).numpy()
    for file in ("half.npy", "single.npy"):
        brought = fit(config_of(name, checkpoints, embeddings=str(tmp_path / file)), corpus, tmp_path / file[:-4])
        assert brought.ids == of_texts.ids
        assert brought.index(NEW, vectors=new) == of_texts.index(NEW)


@pytest.mark.parametrize("name", INDEXERS)
def test_vectors_that_cannot_be_are_refused_and_nothing_is_left(
    name: str, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    indexer, out = make_indexer(config_of(name, checkpoints, embeddings="bundled")), tmp_path / "run"
    (tmp_path / "v.csv").write_text("a,1,2")
    refused: list[tuple[Any, str]] = [
        (np.ones((80, 3)), "all 80 vectors in the given vectors are the same"),
        (np.ones((79, 3)), "the given vectors are 79, and there are 80 documents"),
        (tmp_path / "v.csv", "v.csv is no file of vectors; its name must end in"),
        (tmp_path / "v.npy", "there is no file"),
        ({"doc0": [1.0]}, "79 of 80 documents have no vector in the given vectors, the first: 'doc1'"),
    ]
    for vectors, reason in refused:
        with pytest.raises(InputError, match=reason):
            indexer.fit(corpus, out, vectors=vectors, progress=Progress(None))
    with pytest.raises(InputError, match=r"v\.csv is a file, but none of vectors that can be read; write them as"):
        fit(config_of(name, checkpoints, embeddings=str(tmp_path / "v.csv")), corpus, out)
    with pytest.raises(InputError, match=r"vectors are named twice, by embeddings='v.npy' and by vectors="):
        make_indexer(config_of(name, checkpoints, embeddings="v.npy")).fit(corpus, out, vectors=np.ones((80, 3)))
    with pytest.raises(InputError, match=r"given in Python; give them again"):
        fit(config_of(name, checkpoints, embeddings="given vectors"), corpus, out)
    assert not out.exists()


def test_a_run_of_texts_takes_no_vectors(fitted: Indexer, corpus: Corpus):
    with pytest.raises(InputError, match="was learned from texts and takes no vectors; leave them out"):
        fitted.index(corpus, vectors=np.ones((80, 3)))


def test_resuming_with_other_vectors_is_refused(of_vectors: Indexer, images: Corpus):
    assert of_vectors.run is not None
    some = of_vectors.corpus()
    vectors = vectors_of(images, of_vectors.run.facts["vectors"]["width"])
    resume = {"resume": True, "progress": Progress(None)}
    again = make_indexer(of_vectors.config)
    assert again.fit(some, of_vectors.run.path, vectors=vectors, **resume).ids == of_vectors.ids
    with pytest.raises(InputError, match="was learning from other vectors than those in the given vectors; resume"):
        again.fit(some, of_vectors.run.path, vectors=vectors | {"doc3": -vectors["doc3"]}, **resume)
