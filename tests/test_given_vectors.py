"""Vectors that users bring, on the command line: from the first document to a recommender."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from command_line import SMALL, counting_of, entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.kept_vectors import AXES, VECTORS, load_given
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.store import load_documents, save_table
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.learn.vector_memories import states_of
from lmindexer.methods.generative.folder import load
from lmindexer.progress import Progress
from lmindexer.runs import Run
from lmindexer.runs.contents import listing
from small_tasks import write_queries, write_sequences
from tiny import TOPICS, WIDTH

TEACH = ("--epochs", 1, "--warmup-epochs", 1, "--batch-size", 64, "--device", "cpu", "--precision", "fp32", "--quiet")


def vectors_of(corpus: Corpus, width: int) -> np.ndarray:
    dice = np.random.default_rng(width)
    topics = {topic: dice.normal(size=width) for topic in TOPICS}
    return np.stack([3 * topics[d.label[0]] + dice.normal(size=width) for d in corpus]).astype(np.float32)


def write_vectors(path: Path, ids: list[str], vectors: np.ndarray) -> Path:
    pq.write_table(pa.table({"id": ids, "image": pa.array(vectors.tolist(), pa.list_(pa.float32()))}), path)
    return path


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 documents and 10 later ones, their vectors of 50 numbers, and runs of both kinds."""
    folder = tmp_path_factory.mktemp("home")
    documents, vectors = list(corpus), vectors_of(corpus, 50)
    for name, rows in (("items", range(70)), ("new", range(70, 80)), ("all", range(80))):
        part = Corpus.from_documents(documents[row] for row in rows)
        write_items(part, folder / f"{name}.jsonl")
        write_vectors(folder / f"{name}.parquet", list(part.doc_ids), vectors[list(rows)][::-1][::-1])
    np.save(folder / "items.npy", vectors[:70])
    write_sequences(folder / "taken.txt", Corpus.from_documents(documents[:70]))
    write_queries(folder / "queries.jsonl")
    shutil.copytree(checkpoints["bert"], folder / "bert")
    learned(folder / "items.jsonl", "--label", "kind", "--indexer", "rq-kmeans", "--embeddings",
            folder / "items.parquet", "--out", folder / "kmeans", "--quiet")  # fmt: skip
    learned(folder / "items.parquet", "--embeddings", folder / "items.parquet", "--backbone", folder / "bert",
            "--out", folder / "images", "--quiet")  # fmt: skip
    return folder


def test_the_run_remembers_what_it_was_learned_from(here: Path):
    for run in ("kmeans", "images"):
        opened = Run.open(Path(run))
        assert opened.config.embeddings.endswith("items.parquet")
        facts = opened.facts["vectors"]
        assert (facts["file"], facts["width"], len(facts["digest"])) == ("items.parquet", 50, 32)
        assert VECTORS in opened.files
    assert "Its vectors were brought: items.parquet, 50 numbers each." in lmindexer("inspect", "kmeans").out
    report = (here / "kmeans" / "report.md").read_text()
    assert "10 nearest by the vectors that share c1" in report
    assert "by the encoder" not in report


def test_index_and_add_bring_vectors_as_files(here: Path):
    for run, new in (("kmeans", "new.jsonl"), ("images", "new.parquet")):
        refused = lmindexer("index", run, new)
        assert refused.code == 2
        assert (
            "items.parquet, of 50 numbers), so 'doc70' needs one, too; give those of new documents with" in refused.err
        )
        indexed = lmindexer("index", run, new, "--embeddings", "all.parquet")
        assert indexed.code == 0, indexed.err
        assert "note: ids in all.parquet that no document here has: 70; their vectors are left out" in indexed.err
        added = lmindexer("add", run, new, "--embeddings", "new.parquet")
        assert added.code == 0, added.err
        assert added.out == indexed.out
        assert lmindexer("check", run).out == f"{run} is whole\n"
        assert lmindexer("index", run, new).out == added.out, "who was added needs none"


def test_a_wrong_file_changes_nothing(here: Path):
    np.save("wide.npy", np.ones((10, 51)))
    np.save("nan.npy", np.full((10, 50), np.nan))
    before = [name for name in entries(here) if not name.endswith(".lock")]
    for verb in ("index", "add"):
        for file in ("wide.npy", "nan.npy", "missing.npy", "new.jsonl", "items.npy"):
            answer = lmindexer(verb, "kmeans", "new.jsonl", "--embeddings", file)
            assert answer.code == 2
            assert file in answer.err
    answer = lmindexer("learn", "new.jsonl", "--indexer", "hc", "--embeddings", "nan.npy", "--out", "made")
    assert answer.code == 2
    assert [name for name in entries(here) if not name.endswith(".lock")] == before


def test_a_catalogue_without_text_is_shown_by_ids(here: Path):
    shown = lmindexer("inspect", "images", "--children", 0, "--examples", 1)
    assert shown.code == 0, shown.err
    assert "doc" in shown.out
    for verb in (("explore", "images"), ("compare", "images", "kmeans", "--resamples", 0), ("lookup", "images", "0")):
        assert lmindexer(*verb).code in (0, 2)
    log = Run.open(here / "images").log_records()
    assert not any("reconstruction" in record for record in log)
    assert any(record.get("alignment", 0) > 0 for record in log)
    assert "note: no column is read as text; name some with --text" in lmindexer(
        "learn", "items.parquet", "--embeddings", "items.parquet", "--indexer", "hc", "--out", "made"
    ).err  # fmt: skip


def test_lmindexer_rebuilds_the_text_where_there_is_some(here: Path):
    learned("items.jsonl", "--embeddings", "items.npy", "--backbone", "bert", "--out", "both", "--quiet")
    log = Run.open(here / "both").log_records()
    assert any(record.get("reconstruction", 0) > 0 for record in log)
    assert "rebuilding" in Run.open(here / "both").read_json("report.json")
    refused = lmindexer("search", "both", "a rose")
    assert refused.code == 2
    assert (
        "both was learned from vectors, so that no query can be read by its model to generate IDs; fine-tune"
        in refused.err
    )


def test_without_text_something_else_must_be_rebuilt(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    images = Corpus.from_documents((Document(d.id, "") for d in corpus), keep_empty=True)
    for settings in ({"alignment": (0.0,)}, {"alignment": (20.0, 0.0)}, {"objective": "paper"}):
        with pytest.raises(InputError, match=r"no text, so only their vectors can be rebuilt, and alignment is .*give"):
            LMIndexer(sizes=(4, 4), **settings).fit(images, tmp_path / "run", vectors=vectors_of(corpus, 8))
    with pytest.raises(InputError, match=r"encoder full has nothing to learn from: with embeddings v\.npy the vectors"):
        LMIndexer(embeddings="v.npy", encoder="full")
    with pytest.raises(InputError, match="encoder top has nothing to learn from"):
        LMIndexer(encoder="top").fit(corpus, tmp_path / "run", vectors=vectors_of(corpus, 8))
    assert not (tmp_path / "run").exists()


def test_a_stopped_run_goes_on_with_the_same_vectors(here: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("items.parquet", "--embeddings", "items.parquet", "--backbone", "bert", *SMALL, "--quiet")
    assert lmindexer("learn", *words, "--out", "whole").code == 0

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lmindexer.learn.algorithm.settle", stop)
        assert lmindexer("learn", *words, "--out", "part").code == 130
    write_vectors(
        Path("others.parquet"), [f"doc{n}" for n in range(70)], np.random.default_rng(9).normal(size=(70, 50))
    )
    refused = lmindexer("learn", *words, "--embeddings", "others.parquet", "--out", "part", "--resume")
    assert "was begun with --embeddings items.parquet, not others.parquet; resume without changing it" in refused.err
    shutil.copyfile("items.parquet", "kept.parquet")
    shutil.copyfile("others.parquet", "items.parquet")
    refused = lmindexer("learn", *words, "--out", "part", "--resume")
    assert "part was learning from other vectors than those in items.parquet; resume with these" in refused.err
    shutil.copyfile("kept.parquet", "items.parquet")
    resumed = lmindexer("learn", "items.parquet", "--resume", "--out", "part", "--quiet")
    assert resumed.code == 0, resumed.err
    assert (here / "part" / "ids.jsonl").read_bytes() == (here / "whole" / "ids.jsonl").read_bytes()
    assert (here / "part" / AXES).read_bytes() == (here / "whole" / AXES).read_bytes()


def test_rows_without_ids_count_records_left_out(here: Path):
    lines = Path("items.jsonl").read_text().splitlines()
    Path("broken.jsonl").write_text("\n".join([*lines[:7], "nonsense", *lines[7:]]))
    vectors = np.load("items.npy")
    np.save("broken.npy", np.insert(vectors, 7, np.nan, axis=0))
    small = counting_of(("--indexer", "rq-kmeans", *SMALL, "--quiet", "--skip-bad"))
    assert lmindexer("learn", "broken.jsonl", "--embeddings", "broken.npy", "--out", "skipped", *small).code == 0
    assert (here / "skipped" / "ids.jsonl").read_bytes() == (here / "kmeans" / "ids.jsonl").read_bytes()
    refused = lmindexer("learn", "broken.jsonl", "--embeddings", "items.npy", "--out", "made", *small)
    assert "items.npy has 70 vectors for 71 records (of which 1 are no documents); without ids" in refused.err


def test_compare_judges_by_vectors(here: Path):
    for name in ("items.npy", "vectors"):
        answer = lmindexer("compare", "kmeans", "images", "--embeddings", name, "--resamples", 0)
        assert answer.code == 0, answer.err
        assert f"10 nearest by {name} that share c1" in answer.out
    of_texts = learned("items.jsonl", "--indexer", "random", "--out", "random", "--quiet")
    assert of_texts.code == 0
    refused = lmindexer("compare", "random", "--embeddings", "vectors")
    assert "none of the runs was learned from vectors; name an encoder, or a file of vectors" in refused.err


@pytest.mark.parametrize("run", ["kmeans", "images"])
def test_a_recommender_reads_the_vectors_as_items(run: str, here: Path):
    answer = lmindexer("finetune", run, "taken.txt", "--out", "taught", "--items", "both", *TEACH)
    assert answer.code == 0, answer.err
    finetuned = load(here / "taught")
    assert finetuned.items is not None
    assert (finetuned.axes is None) == (run == "kmeans"), "the bundled encoder is wider than the vectors"
    expected = states_of(torch.from_numpy(np.load("items.npy")), finetuned.model.backbone.dim, finetuned.axes)
    torch.testing.assert_close(finetuned.items.vectors.float(), expected, atol=5e-3, rtol=0)
    states = finetuned.documents().memory(np.arange(3)).states
    torch.testing.assert_close(states[:, 0], expected[:3], atol=5e-3, rtol=0)
    assert not (here / "taught" / "items.parquet").exists(), "they are kept once"
    before = lmindexer("search", "taught", "--history", "doc1,doc2", "--format", "jsonl")
    assert before.code == 0, before.err
    assert lmindexer("add", "taught", "new.parquet", "--embeddings", "new.parquet").code == 0
    later = load(here / "taught")
    assert later.items is not None
    assert len(later.items.vectors) == 80
    torch.testing.assert_close(later.items.vectors[:70], finetuned.items.vectors)
    assert lmindexer("check", "taught").out == "taught is whole\n"
    assert lmindexer("search", "taught", "--history", "doc70,doc71", "--exact", "-k", 3).code == 0


@pytest.mark.parametrize("run", ["kmeans", "images"])
def test_search_is_taught_by_texts(run: str, here: Path):
    answer = lmindexer("finetune", run, "--queries", "queries.jsonl", "--out", "taught", *TEACH)
    assert answer.code == 0, answer.err
    assert load(here / "taught").axes is None
    assert lmindexer("search", "taught", "the rose", "-k", 1).code == 0


def test_texts_are_not_read_where_vectors_are(here: Path, corpus: Corpus):
    indexer = load_indexer("kmeans")
    assert isinstance(indexer, TwoStepIndexer)
    with pytest.raises(InputError, match="no encoder reads texts here: the IDs were learned from vectors"):
        indexer.vectors(corpus)


def test_what_is_missing_is_mended_with_the_kept_vectors(here: Path):
    """A document without an ID gets one of its own vector."""
    opened = Run.open(here / "kmeans")
    ids = IdTable.load(opened.file("ids.parquet"))
    save_table(opened.path.joinpath, ids.remove({"doc7"}))
    opened.update(files=listing(opened.path))
    assert "1 documents have no ID, such as 'doc7'" in lmindexer("check", "kmeans").out
    lmindexer("check", "kmeans", "--mend")
    assert lmindexer("check", "kmeans").out == "kmeans is whole\n"
    mended = IdTable.load(Run.open(here / "kmeans").file("ids.parquet"))
    assert mended["doc7"][:2] == ids["doc7"][:2]
    vectors = load_given(Run.open(here / "kmeans"), load_documents(Run.open(here / "kmeans")))
    given = np.load("items.npy")[[int(doc_id.removeprefix("doc")) for doc_id in mended.doc_ids]]
    np.testing.assert_array_equal(vectors, given)


def test_damage_is_named(here: Path):
    path = here / "kmeans" / VECTORS
    table = pq.read_table(path)
    run = json.loads((here / "kmeans" / "run.json").read_text())
    del run["files"]
    (here / "kmeans" / "run.json").write_text(json.dumps(run | {"format": 1}))
    opened = Run.open(here / "kmeans")
    pq.write_table(table.slice(1), path)
    assert f"{path} has no vector of the document 'doc0'; learn the run anew" in lmindexer("check", opened.path).out
    assert "has no vector of the document 'doc0'" in lmindexer("remove", opened.path, "doc5").err
    for damage in (b"", path.read_bytes()[:-9]):
        path.write_bytes(damage)
        assert (
            "cannot be read" in lmindexer("check", opened.path).out
            or "is damaged" in lmindexer("check", opened.path).out
        )
        assert lmindexer("remove", opened.path, "doc5").code == 2
    (here / "kmeans" / "run.json").write_text(json.dumps(run | {"format": 1, "vectors": {"width": "x"}}))
    assert "run.json is damaged" in lmindexer("index", opened.path, "new.jsonl", "--embeddings", "new.parquet").err


def test_python_takes_an_array_or_a_mapping(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    settings = {"sizes": (4, 4), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1, "batch_size": 32}
    vectors = vectors_of(corpus, WIDTH)
    made = [
        LMIndexer(backbone=str(checkpoints["bert"]), device="cpu", precision="fp32", **settings).fit(
            corpus, tmp_path / str(n), vectors=source, progress=Progress(None)
        )
        for n, source in enumerate((vectors, dict(zip(corpus.doc_ids, vectors, strict=True))))
    ]
    assert made[0].ids == made[1].ids
    assert made[0].config.embeddings == "given vectors"
    assert load_documents(Run.open(tmp_path / "0")).doc_ids == load_indexer(tmp_path / "1").corpus().doc_ids
