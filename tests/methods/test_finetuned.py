"""Fine-tuned models: saved then loaded they find the same, also documents that came after them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.methods.generative.finetuned import FinetunedRetriever, written_out
from lmindexer.methods.generative.folder import BACKBONE, ITEMS, WEIGHTS, begin_model, load, save
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import known_paths
from lmindexer.methods.known import KNOWN
from lmindexer.methods.retriever import Hit
from lmindexer.methods.taught import CONFIG, FACTS, is_finetuned, read_config
from lmindexer.runs import Run
from lmindexer.settings import parse, to_toml
from small_tasks import learn

QUERIES = ["rose in old soil", "thunder and storm"]
HISTORIES = [["doc3", "doc70", "doc3"], ["doc9"], [f"doc{n}" for n in range(40)]]


@pytest.fixture(scope="module", params=["bert", "t5"])
def run(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / request.param
    return learn(corpus, folder, indexer="lmindexer", backbone=str(checkpoints[request.param]), encoder="frozen")


def started(run: Path, **settings: Any) -> GenerativeModel:
    """A model at its beginning, then shaken, as if it had learned."""
    settings = {"device": "cpu", "precision": "fp32"} | settings
    finetuned = begin_model(Run.open(run), parse(FinetuneConfig, settings))
    finetuned.model.backbone.freeze("frozen" if finetuned.reader is not None else "full", 0)
    torch.manual_seed(1)
    for p in finetuned.modules.parameters():
        if p.requires_grad:
            p.data += 0.05 * torch.randn_like(p)
    if finetuned.reader is not None:
        finetuned.reader.widen.weight.data *= 20  # what is read differs enough to be told apart
    finetuned.modules.eval()
    return finetuned


def kept(run: Path, finetuned: GenerativeModel, to: Path) -> Path:
    shutil.copytree(run, to)
    (to / CONFIG).write_text(to_toml(finetuned.config))
    save(Run(to), finetuned)
    return to


def test_settings_under_their_old_names_are_read(run: Path, tmp_path: Path):
    folder = kept(run, started(run, task="recommend", items="ids", learning_rate=(1e-3,)), tmp_path / "run")
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace("\nitems =", "\nhistory =").replace("\nlearning_rate = [", "\nlr = ["))
    assert "history" in (folder / CONFIG).read_text()
    assert (read_config(folder).items, read_config(folder).learning_rate) == ("ids", (1e-3,))


def found(finetuned: GenerativeModel, k: int = 80, only: list[str] | None = None, **how: Any) -> list[list[Hit]]:
    if finetuned.config.task == "search":
        return FinetunedRetriever(finetuned, exact=True, **how).search(QUERIES, k, only=only)
    return FinetunedRetriever(finetuned, exact=True, **how).recommend(HISTORIES, k, only=only)


ALL = [{"task": "search"}, {"task": "search", "suffix": False}]
ALL += [{"task": "recommend", "items": each} for each in ("tokens", "text", "ids", "both")]


@pytest.mark.parametrize("settings", ALL, ids=lambda each: "-".join(map(str, each.values())))
def test_saved_then_loaded_it_finds_the_same(run: Path, corpus: Corpus, settings: dict[str, Any], tmp_path: Path):
    finetuned = started(run, **settings)
    folder = kept(run, finetuned, tmp_path / "run")
    assert is_finetuned(folder)
    assert not is_finetuned(run)
    assert read_config(folder) == finetuned.config
    before, after = found(finetuned), found(load(folder))
    assert before == after
    for hits in after:
        assert {hit.doc_id for hit in hits} == set(corpus.doc_ids), "each once, and no other"
        assert len(hits) == len(corpus)
    assert (folder / ITEMS).exists() == (settings.get("items") in ("text", "both"))


def test_it_begins_as_the_indexer_that_gave_the_ids(run: Path):
    source, ids = Run.open(run), IdTable.load(run / "ids.parquet")
    with_suffix = begin_model(source, parse(FinetuneConfig, {"device": "cpu"})).model
    without = begin_model(source, parse(FinetuneConfig, {"device": "cpu", "suffix": False})).model
    assert ids.suffix is not None
    assert with_suffix.sizes == (*ids.sizes, ids.suffix.max() + 1)
    assert without.sizes == ids.sizes
    for one, other in zip(with_suffix.codebooks, without.codebooks, strict=False):
        assert torch.equal(one.weight, other.weight)
    assert torch.equal(with_suffix.centre[: len(ids.sizes)], without.centre)


def test_the_same_seed_begins_the_same(run: Path):
    first, again, other = (started(run, task="recommend", seed=seed).modules.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_what_comes_behind_the_learned_suffixes_shares_the_last():
    ids = IdTable(("a", "b", "c", "d"), torch.tensor([[1], [1], [0], [1]]).numpy(), (2,)).with_suffix()
    assert known_paths(ids, (2, 3)).tolist() == [[1, 0], [1, 1], [0, 0], [1, 2]]
    assert known_paths(ids, (2, 2)).tolist() == [[1, 0], [1, 1], [0, 0], [1, 1]]
    assert known_paths(ids, (2,)).tolist() == [[1], [1], [0], [1]]


@pytest.mark.parametrize("settings", [ALL[0], ALL[1], ALL[-1]], ids=lambda each: "-".join(map(str, each.values())))
def test_documents_come_and_go_after_fine_tuning(run: Path, corpus: Corpus, settings: dict[str, Any], tmp_path: Path):
    folder = kept(run, started(run, **settings), tmp_path / "run")
    ids = IdTable.load(folder / "ids.parquet")
    assert ids.suffix is not None
    fullest = ids.doc_ids[int(ids.suffix.argmax())]  # the last suffix that the model learned
    text = corpus[corpus.row_of[fullest]].text
    add_documents(folder, Corpus.from_documents(Document(f"new{n}", text) for n in range(3)))
    remove_documents(folder, ["doc60", "doc61"])
    there = {*corpus.doc_ids, "new0", "new1", "new2"} - {"doc60", "doc61"}
    later = load(folder)
    for hits in found(later, 81):
        assert {hit.doc_id for hit in hits} == there
        assert len(hits) == len(there)
    for hits in found(later, 81, only=["new1", "doc5"]):
        assert {hit.doc_id for hit in hits} == {"new1", "doc5"}


@pytest.mark.parametrize("settings", [*ALL[:2], ALL[-1]], ids=lambda each: "-".join(map(str, each.values())))
def test_new_documents_are_favoured_as_calibrated_unless_told(
    run: Path, corpus: Corpus, settings: dict[str, Any], tmp_path: Path
):
    folder = kept(run, started(run, **settings), tmp_path / "run")
    again = {f"new{row}": corpus[row].text for row in range(40, 60)}  # their paths are free
    remove_documents(folder, [f"doc{row}" for row in range(40, 60)])
    later = again | {"doc44": "a storm in the kitchen", "doc49": corpus[49].text}  # another text, and the same
    add_documents(folder, Corpus.from_documents(Document(*each) for each in later.items()))
    by_ids = {"score": "ids"} if settings["task"] == "recommend" else {}
    finetuned = load(folder)
    assert finetuned.novelty is None, "nothing was calibrated"
    assert [finetuned.corpus.doc_ids[row] for row in finetuned.new] == [*again, "doc44"]
    plain, more, much = (
        {hit.doc_id: hit.score for hit in found(finetuned, 82, novelty=b, **by_ids)[0]} for b in (0.0, 3.0, 100.0)
    )
    new = {finetuned.ids.doc_ids[row] for row in finetuned.new}
    assert {doc_id for doc_id in plain if more[doc_id] != pytest.approx(plain[doc_id], abs=1e-3)} <= new
    gained = {doc_id: more[doc_id] - plain[doc_id] for doc_id in new}
    if settings.get("suffix", True):
        assert max(gained.values()) > 0.003
    else:
        assert set(gained.values()) == {0.0}, "all have the path of a known one, and share its score"
    assert all(-1e-3 <= gain <= 3.001 for gain in gained.values())
    assert all(much[doc_id] >= more[doc_id] - 1e-3 for doc_id in new)
    assert found(finetuned, 82, **by_ids) == found(finetuned, 82, novelty=0.0, **by_ids), "an earlier version's run"
    (folder / FACTS).write_text('{"novelty": 3.0}')
    calibrated = load(folder)
    assert calibrated.novelty == 3.0
    assert {hit.doc_id: hit.score for hit in found(calibrated, 82, **by_ids)[0]} == pytest.approx(more, abs=1e-3)
    assert {hit.doc_id: hit.score for hit in found(calibrated, 82, novelty=0.0, **by_ids)[0]} == pytest.approx(
        plain, abs=1e-3
    )


def test_settings_say_what_changes_the_answer(run: Path, corpus: Corpus, tmp_path: Path):
    """Each run's own calibration is one way to ask all of them; without new documents there is nothing to favour."""
    folder = kept(run, started(run), tmp_path / "run")
    (folder / FACTS).write_text('{"novelty": 1.5}')
    how = {"exact": False, "renormalise": False}
    assert FinetunedRetriever(load(folder)).settings == how | {"beams": 20, "novelty": 0.0}
    assert FinetunedRetriever(load(folder), novelty=2.0).settings == how | {"beams": 20, "novelty": 0.0}
    add_documents(folder, Corpus.from_documents([Document("new", "a storm in the kitchen")]))
    assert FinetunedRetriever(load(folder)).settings == how | {"beams": 20, "novelty": "calibrated"}
    assert FinetunedRetriever(load(folder), novelty=2.0).settings == how | {"beams": 20, "novelty": 2.0}
    exact = FinetunedRetriever(load(folder), exact=True, beams=7)
    assert exact.settings == {"exact": True, "renormalise": False, "beams": None, "novelty": "calibrated"}


def test_later_items_are_read_as_the_first_ones_were(run: Path, corpus: Corpus, tmp_path: Path):
    folder = kept(run, started(run, task="recommend"), tmp_path / "run")
    remove_documents(folder, ["doc4"])
    texts = {"new": corpus[7].text, "doc4": corpus[9].text}  # doc4 comes back with another text
    add_documents(folder, Corpus.from_documents(Document(*each) for each in texts.items()))
    later = load(folder)
    assert later.items is not None
    row_of = later.corpus.row_of
    for doc_id, same in (("new", "doc7"), ("doc4", "doc9")):
        vectors = later.items.vectors[[row_of[doc_id], row_of[same]]].float()
        torch.testing.assert_close(vectors[0], vectors[1], rtol=2e-3, atol=2e-3)


def test_without_the_items_file_items_are_read_anew(run: Path, tmp_path: Path):
    finetuned = started(run, task="recommend")
    folder = kept(run, finetuned, tmp_path / "run")
    assert finetuned.items is not None
    for damage in (lambda path: path.write_bytes(b"PAR1"), Path.unlink):
        damage(folder / ITEMS)
        again = load(folder).items
        assert again is not None
        torch.testing.assert_close(again.vectors, finetuned.items.vectors, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "of another"])
def test_damaged_weights_are_named(run: Path, damage: str, tmp_path: Path):
    folder = kept(run, started(run, task="recommend"), tmp_path / "run")
    weights = folder / WEIGHTS
    if damage == "missing":
        weights.unlink()
    elif damage == "of another":
        shutil.copy(kept(run, started(run, task="search"), tmp_path / "other") / WEIGHTS, weights)
    else:
        weights.write_bytes(weights.read_bytes()[: 1000 if damage == "cut" else 0])
    with pytest.raises(
        InputError,
        match=r"retriever\.safetensors (cannot be read|is not of this run|is missing).*(anew|lmindexer check)",
    ):
        load(folder)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"PAR1"), Path.unlink], ids=["cut", "missing"])
def test_without_what_it_knew_a_run_is_refused(run: Path, damage: Any, tmp_path: Path):
    folder = kept(run, started(run, task="search"), tmp_path / "run")
    damage(folder / KNOWN)
    with pytest.raises(
        InputError, match=r"known\.parquet (cannot be read .*; fine-tune anew|is missing; .*lmindexer check)"
    ):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), 1e39, -101.0])
def test_novelty_is_a_number_of_some_nats(run: Path, value: float):
    with pytest.raises(InputError, match="novelty is nats such as 2, from -100 to 100, not"):
        FinetunedRetriever(started(run), novelty=value)


def test_an_encoder_that_learned_and_is_gone_is_missed(run: Path, tmp_path: Path):
    folder = kept(run, started(run, task="search"), tmp_path / "run")
    shutil.rmtree(folder / BACKBONE)
    with pytest.raises(InputError, match=f"{BACKBONE} is missing; fine-tune anew"):
        load(folder)


def test_saving_again_replaces_what_a_stop_left(run: Path, tmp_path: Path):
    finetuned = started(run, task="search")
    finetuned.model.backbone.pooling = "cls"
    folder = kept(run, finetuned, tmp_path / "run")
    (folder / f".{BACKBONE}").mkdir()
    save(Run(folder), finetuned)
    assert found(load(folder)) == found(finetuned)
    assert not (folder / f".{BACKBONE}").exists()


def test_bad_histories_are_refused(run: Path):
    recommender = FinetunedRetriever(started(run, task="recommend"))
    for histories, k, told in (
        ([["doc1"], ["nobody"]], 3, "'nobody' of a history is none of the 80 documents; leave it out"),
        ([[]], 3, "a history is empty; name at least one document"),
        ([["doc1"]], 0, "it must be at least 1, not 0"),
    ):
        with pytest.raises(InputError, match=told):
            recommender.recommend(histories, k)
    assert recommender.recommend([], 3) == []


def test_a_history_does_not_depend_on_its_company(run: Path):
    for history in ("both", "tokens"):
        recommender = FinetunedRetriever(started(run, task="recommend", items=history), exact=True)
        for one, hits in zip(HISTORIES, recommender.recommend(HISTORIES, 5), strict=True):
            (alone,) = recommender.recommend([one], 5)
            assert [hit.score for hit in alone] == pytest.approx([hit.score for hit in hits], rel=1e-4)


def test_only_the_newest_items_are_read(run: Path):
    newest = HISTORIES[2][-3:]
    for history in ("ids", "tokens"):
        recommender = FinetunedRetriever(started(run, task="recommend", items=history, max_items=3))
        whole, cut = recommender.recommend([HISTORIES[2]], 5), recommender.recommend([newest], 5)
        assert whole == cut


def test_a_recommender_also_answers_words(run: Path, corpus: Corpus):
    recommender = FinetunedRetriever(started(run, task="recommend"))
    for hits in recommender.search(QUERIES, 5, only=corpus.doc_ids[:30]):
        assert len({hit.doc_id for hit in hits} & set(corpus.doc_ids[:30])) == 5


def test_a_history_as_one_text():
    assert written_out(["new  one", " older\n"]) == "new one ; older"
    assert written_out([""]) == "-"
