"""Fine-tuning: every indexer's IDs can be learned, the best epoch is kept, a stop changes nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lmindexer import training
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.registry import INDEXERS
from lmindexer.methods.generative.finetuned import FinetunedRetriever
from lmindexer.methods.generative.folder import WEIGHTS, load
from lmindexer.methods.generative.teachable import TeachableGenerator
from lmindexer.methods.registry import load_retriever
from lmindexer.methods.retriever import Hit
from lmindexer.methods.taught import is_finetuned
from lmindexer.questions.queries import load_queries
from lmindexer.questions.questions import HISTORY
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching import calibration, train
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, RECOMMEND, SEARCH, learn, write_jsonl, write_queries, write_sequences

HISTORIES = [["doc3", "doc70", "doc3"], ["doc9"]]


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Queries, sequences and two small runs."""
    folder = tmp_path_factory.mktemp("home")
    write_queries(folder / "queries.jsonl")
    write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    learn(corpus, folder / "t5", indexer="lmindexer", backbone=str(checkpoints["t5"]))
    return folder


def data_of(home: Path, task: str) -> dict[str, Any]:
    if task == "search":
        return {"queries": home / "queries.jsonl", "rescore": False}
    return {"sequences": home / "taken.txt"}


def answers(run: Path, k: int = 80) -> list[list[Hit]]:
    found = load_retriever(run, exact=True)
    return found.recommend(HISTORIES, k) if (HISTORY in found.reads) else found.search(["rose", "pan"], k)


def told(run: Path) -> dict[str, Any]:
    return {name: value for name, value in Run(run).read_json("finetune.json").items() if name != "seconds"}


def logged(run: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def epochs_of(run: Path, stage: str) -> list[int]:
    return [record["epoch"] for record in logged(run) if record["stage"] == stage]


# Every indexer


@pytest.fixture(scope="module", params=list(INDEXERS))
def indexed(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("indexed") / request.param
    return learn(
        corpus, folder, indexer=request.param, backbone=str(checkpoints["bert"]), embeddings=str(checkpoints["bert"])
    )


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_every_indexer_can_be_fine_tuned(indexed: Path, home: Path, corpus: Corpus, task: str, tmp_path: Path):
    before = {path: path.read_bytes() for path in indexed.rglob("*") if path.is_file()}
    found = finetune(indexed, tmp_path / "out", **data_of(home, task), **QUICK, encoder="frozen", progress=QUIET)
    assert (HISTORY in found.reads) == (task == "recommend")
    for hits in found.recommend(HISTORIES, 80) if (HISTORY in found.reads) else found.search(["pan"], 80):
        assert len(hits) == len({hit.doc_id for hit in hits} & set(corpus.doc_ids)) == len(corpus)
    dev = dev_of(tmp_path / "out", home, corpus)
    assert dev == pytest.approx(told(tmp_path / "out")["best"]), "what was saved is what was chosen"
    assert {path: path.read_bytes() for path in indexed.rglob("*") if path.is_file()} == before
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert not {name for name in left if name.startswith((".", "checkpoint", "start", "best")) and name != ".lock"}


def dev_of(run: Path, home: Path, corpus: Corpus) -> float:
    """The dev metric of a finished run, from the files."""
    finetuned = load(run)
    if finetuned.config.task == "recommend":
        taken = load_sequences(home / "taken.txt", corpus.doc_ids)
        asked = RecommendTask(taken, corpus, finetuned.config).dev_questions
    else:
        first, dev = (load_queries(home / "queries.jsonl", None, split, corpus.doc_ids) for split in ("train", "dev"))
        asked = SearchTask([first], {"dev": dev}, corpus, finetuned.config).dev_questions
    hits = FinetunedRetriever(finetuned).answer(asked.asked, 20)
    return asked.judged([[hit.doc_id for hit in found] for found in hits], finetuned.config.dev_metric)


# It learns


@pytest.mark.parametrize(
    ("run", "settings"),
    [
        ("run", SEARCH),
        ("t5", SEARCH | {"epochs": 200, "batch_size": 16, "learning_rate": (1e-2,), "encoder_learning_rate": 1e-2}),
    ],
)  # fmt: skip
def test_it_learns_what_a_word_means(home: Path, run: str, settings: dict[str, Any], tmp_path: Path):
    finetune(home / run, tmp_path / "out", queries=home / "queries.jsonl", **settings, progress=QUIET)
    dev = [record["dev recall@1"] for record in logged(tmp_path / "out") if "dev recall@1" in record]
    assert dev[0] <= 0.4
    assert max(dev) >= 0.7
    train = load_queries(home / "queries.jsonl", None, "train", load(tmp_path / "out").corpus.doc_ids)
    hits = load_retriever(tmp_path / "out").search(train.texts, 1)
    right = [hit.doc_id in grades for (hit,), grades in zip(hits, train.relevant, strict=True)]
    assert sum(right) / len(right) >= 0.8


@pytest.mark.parametrize("history", ["ids", "both"])
def test_it_learns_what_follows_an_item(home: Path, corpus: Corpus, history: str, tmp_path: Path):
    taken = home / "taken.txt"
    settings = RECOMMEND | {"epochs": 15 if history == "ids" else 30}
    found = finetune(home / "run", tmp_path / "out", sequences=taken, items=history, **settings, progress=QUIET)
    assert HISTORY in found.reads
    dev = [record["dev recall@1"] for record in logged(tmp_path / "out") if "dev recall@1" in record]
    assert dev[0] <= 0.1
    follows = {a: b for line in taken.read_text().splitlines() for a, b in zip(line.split()[1:], line.split()[2:])}  # noqa: B905
    hits = found.recommend([[doc_id] for doc_id in corpus.doc_ids], 1)
    right = [hit.doc_id == follows[doc_id] for (hit,), doc_id in zip(hits, corpus.doc_ids, strict=True)]
    assert sum(right) / len(right) >= 0.75


# Stopped and resumed


class StoppedError(Exception):
    """The power goes."""


class Power:
    """Goes after so many steps of an optimiser; a step takes a second and a checkpoint no time."""

    def __init__(self) -> None:
        self.left, self.steps = 10**9, 0


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Iterator[Power]:
    power, step = Power(), torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW, *arguments: object) -> object:
        if power.left == 0:
            raise StoppedError
        power.left, power.steps = power.left - 1, power.steps + 1
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: power.steps))
    return power


RESUMED = {
    "search": ("run", {"document_share": 0.5, "encoder": "full"}),
    "search, several rates": ("run", {"learning_rate": (3e-3, 1e-3, 1e-2), "warmup_epochs": 1}),
    "search, T5": ("t5", {"encoder": "full", "learning_rate": (1e-3, 3e-3)}),
    "recommend": ("run", {"warmup_epochs": 1}),
    "recommend, several rates": ("run", {"learning_rate": (1e-4, 1e-2), "patience": 1}),
    "search, documents held out": ("run", {"document_share": 1.0}),
    "recommend, documents held out": ("run", {"warmup_epochs": 1}),
}


@pytest.mark.parametrize("case", RESUMED)
def test_stopped_anywhere_it_ends_the_same(
    home: Path, case: str, power: Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, changes = RESUMED[case]
    if "held out" in case:
        monkeypatch.setattr(calibration, "FEWEST", 6)
    task = case.split(",")[0]
    settings = QUICK | {"epochs": 2, "batch_size": 30 if task == "recommend" else 40, "dropout": 0.2} | changes
    how = data_of(home, task) | settings | {"checkpoint_seconds": 0.0, "progress": QUIET}
    finetune(home / run, tmp_path / "whole", **how)
    steps = power.steps
    assert steps >= 4
    power.left = 1
    tries = 0
    while True:  # stopped after 1 step, then after 2 more, then after 3 more ...
        try:
            finetune(home / run, tmp_path / "out", **how, resume=True)
            break
        except StoppedError:
            tries += 1
            power.left = 1 + tries
    assert tries >= 2
    assert power.steps == 2 * steps, "no step is done twice"
    assert ("documents_held_out" in told(tmp_path / "out")) == ("held out" in case)
    whole, out = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "out"))
    assert whole.keys() == out.keys()
    assert all(torch.equal(whole[name], out[name]) for name in whole)
    assert told(tmp_path / "out") == told(tmp_path / "whole")
    assert logged(tmp_path / "out") == logged(tmp_path / "whole")
    assert answers(tmp_path / "out") == answers(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["Run.write_text", "copytree", "Trainer.keep", "save", "dev_metric"])
def test_stopped_beside_the_steps_it_ends_the_same(
    home: Path, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how = data_of(home, "search") | QUICK | {"progress": QUIET, "resume": True}
    finetune(home / "run", tmp_path / "whole", **how)
    places = {
        "copytree": [(shutil, "copytree")],  # between the settings and the end of the folder's making
        "Run.write_text": [(Run, "write_text")],  # of config.toml, while the folder is made
        "Trainer.keep": [(training.Trainer, "keep")],
        "save": [(TeachableGenerator, "save")],
        "dev_metric": [(train, "dev_metric")],
    }[moment]

    def stop(*arguments: object, **named: object) -> None:
        raise StoppedError

    for at, name in places:
        with monkeypatch.context() as patched:
            patched.setattr(at, name, stop)
            with pytest.raises(StoppedError):
                finetune(home / "run", tmp_path / "out", **how)
    finetune(home / "run", tmp_path / "out", **how)
    whole, out = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "out"))
    assert all(torch.equal(whole[name], out[name]) for name in whole)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}


def test_a_finished_run_resumed_stays(home: Path, tmp_path: Path):
    how = data_of(home, "search") | QUICK | {"progress": QUIET}
    finetune(home / "run", tmp_path / "out", **how)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    finetune(home / "run", tmp_path / "out", **how, resume=True)
    other = write_jsonl(tmp_path / "other.jsonl", [{"query": f"pan {n}", "item_ids": ["doc5"]} for n in range(4)])
    for changes, reason in (
        ({"epochs": 2}, "was begun with other settings"),
        ({"queries": other}, "was begun with other data to learn from"),
    ):
        with pytest.raises(InputError, match=reason):
            finetune(home / "run", tmp_path / "out", **(how | changes), resume=True)
    with pytest.raises(InputError, match=r"was not begun from .*t5; choose another"):
        finetune(make_other(home, tmp_path), tmp_path / "out", **how, resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def make_other(home: Path, folder: Path) -> Path:
    """A run of fewer documents, with the queries' among them."""
    corpus = load(folder / "out").corpus
    some = Corpus.from_documents(corpus[row] for row in range(40))
    return learn(some, folder / "t5", indexer="random", sizes=(4, 4))


# What is kept


class Scripted:
    """A dev metric that says what it is told to, and keeps what the model was like then."""

    def __init__(self, *values: float) -> None:
        self.values, self.weights = list(values), list[torch.Tensor]()

    def __call__(self, model: Any, task: object) -> float:
        self.weights.append(model.model.model.codebooks[0].weight.detach().clone())
        return self.values[len(self.weights) - 1]


@pytest.mark.parametrize(
    ("settings", "values", "stops", "best"),
    [
        ({"patience": 2}, (0.2, 0.5, 0.4, 0.5, 0.9), 4, 2),
        ({"patience": 1}, (0.0, 0.0, 0.9), 2, 1),
        ({"patience": 3}, (0.2, 0.1, 0.1, 0.3, 0.2, 0.2), 6, 4),
        ({"patience": 0}, (0.5, 0.4, 0.3, 0.2, 0.1, 0.0), 6, 1),
    ],
)
def test_it_stops_early_and_keeps_the_best_epoch(
    home: Path,
    settings: dict[str, Any],
    values: tuple[float, ...],
    stops: int,
    best: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    dev = Scripted(*values)
    monkeypatch.setattr(train, "dev_metric", dev)
    found = finetune(
        home / "run", tmp_path / "out", **data_of(home, "search"), **(QUICK | {"epochs": 6} | settings), progress=QUIET
    )
    assert epochs_of(tmp_path / "out", "search") == list(range(1, stops + 1))
    assert (told(tmp_path / "out")["best_epoch"], told(tmp_path / "out")["best"]) == (
        best,
        pytest.approx(values[best - 1]),
    )
    assert HISTORY not in found.reads
    kept = [torch.equal(found.model.codebooks[0].weight, each) for each in dev.weights]
    assert kept == [epoch == best for epoch in range(1, stops + 1)]


def test_of_several_rates_the_best_is_kept_and_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dev = Scripted(0.2, 0.4, 0.3, 0.6, 0.5, 0.1, 0.4, 0.6, 0.3)
    monkeypatch.setattr(train, "dev_metric", dev)
    settings = QUICK | {"epochs": 3, "learning_rate": (1e-3, 5e-3, 2e-2), "patience": 0, "batch_size": 128}
    found = finetune(home / "run", tmp_path / "out", **data_of(home, "recommend"), **settings, progress=QUIET)
    facts = told(tmp_path / "out")
    assert (facts["best"], facts["best_rate"], facts["best_epoch"]) == pytest.approx((0.6, 5e-3, 1))
    assert [epochs_of(tmp_path / "out", f"recommend at {rate}") for rate in (0.001, 0.005, 0.02)] == [[1, 2, 3]] * 3
    assert HISTORY in found.reads
    kept = [torch.equal(found.finetuned.model.codebooks[0].weight, each) for each in dev.weights]
    assert kept == [n == 3 for n in range(9)]


def test_each_rate_starts_from_the_same_and_the_order_of_rates_is_no_matter(home: Path, tmp_path: Path):
    facts = []
    for name, rates in (("one", (1e-3, 1e-2)), ("two", (1e-2, 1e-3))):
        settings = QUICK | {"learning_rate": rates, "warmup_epochs": 0, "batch_size": 128, "dev_metric": "mrr@80"}
        finetune(home / "run", tmp_path / name, **data_of(home, "recommend"), **settings, progress=QUIET)
        facts.append({(r["stage"], r["epoch"]): r for r in logged(tmp_path / name)})
    assert facts[0] == facts[1]


# Ways to ask for it


def test_without_the_suffix_documents_of_one_path_share_a_score(home: Path, corpus: Corpus, tmp_path: Path):
    how = data_of(home, "search") | QUICK
    finetune(home / "run", tmp_path / "out", **how, suffix=False, progress=QUIET)
    found = load(tmp_path / "out")
    assert found.model.sizes == found.ids.sizes
    (hits,) = FinetunedRetriever(found, exact=True).search(["rose"], 80)
    scores: dict[tuple[int, ...], set[float]] = {}
    for hit in hits:
        scores.setdefault(found.ids[hit.doc_id][:-1], set()).add(hit.score)
    assert len(hits) == len(corpus)
    assert all(len(each) == 1 for each in scores.values())
    finetune(home / "run", tmp_path / "with", **how, progress=QUIET)
    assert len({hit.score for hit in answers(tmp_path / "with")[0]}) > len(scores)


@pytest.mark.parametrize("history", ["tokens", "text", "ids", "both"])
def test_every_way_to_read_a_history(home: Path, corpus: Corpus, history: str, tmp_path: Path):
    how = data_of(home, "recommend") | QUICK | {"samples": 1, "max_items": 3, "max_tokens": 24, "encoder": "auto"}
    finetune(home / "run", tmp_path / "out", **how, items=history, progress=QUIET)
    assert told(tmp_path / "out")["pairs"] == 80
    assert (load(tmp_path / "out").reader is None) == (history == "tokens")
    assert (tmp_path / "out" / "retriever_backbone").exists() == (history == "tokens")
    for hits in answers(tmp_path / "out"):
        assert {hit.doc_id for hit in hits} == set(corpus.doc_ids)


def test_pseudo_queries_beside_or_instead_of_queries(home: Path, corpus: Corpus, tmp_path: Path):
    made = [{"query": f"{d.text} {source}", "item_ids": [d.id], "source": source} for d in list(corpus)[:30]
            for source in ("title", "words")]  # fmt: skip
    pseudo = [write_jsonl(tmp_path / "pseudo.jsonl", made)]
    own = {"queries": home / "queries.jsonl"}
    n = {}
    for name, how in {
        "beside": own | {"pseudo": pseudo},
        "some": own | {"pseudo": pseudo, "sources": ["title"]},
        "alone": {"pseudo": pseudo},
        "twice": {"pseudo": [*pseudo, *pseudo], "sources": ["words"]},
    }.items():
        finetune(home / "run", tmp_path / name, **how, **(QUICK | {"warmup_epochs": 0}), progress=QUIET)
        n[name] = told(tmp_path / name)["pairs"]
    assert n == {"beside": 16 + 60, "some": 16 + 30, "alone": 54, "twice": 27 + 27}
    assert "6 of the training queries are kept apart" in told(tmp_path / "alone")["notes"][0]
    with pytest.raises(InputError, match="no queries of the source 'titles'; the sources there are 'title', 'words'"):
        finetune(home / "run", tmp_path / "out", **own, pseudo=pseudo, sources=["titles"], progress=QUIET)
    assert not (tmp_path / "out").exists()


def test_queries_without_a_split_are_all_for_training(home: Path, tmp_path: Path):
    asked = write_jsonl(tmp_path / "all.jsonl", [{"query": f"pan {n}", "item_ids": [f"doc{n}"]} for n in range(20)])
    finetune(home / "run", tmp_path / "out", queries=asked, **QUICK, progress=QUIET)
    assert told(tmp_path / "out")["pairs"] == 18
    assert "2 of the training queries are kept apart" in told(tmp_path / "out")["notes"][0]
    doc_ids = load(tmp_path / "out").corpus.doc_ids
    kept = {split: load_queries(tmp_path / "out" / "queries.jsonl", None, split, doc_ids) for split in ("train", "dev")}
    assert {split: len(each) for split, each in kept.items()} == {"train": 18, "dev": 2}
    assert not set(kept["train"].texts) & set(kept["dev"].texts)


def test_a_beir_folder_with_grades(home: Path, corpus: Corpus, tmp_path: Path):
    (tmp_path / "qrels").mkdir()
    write_jsonl(tmp_path / "queries.jsonl", [{"_id": f"q{n}", "text": f"pan {n}"} for n in range(6)])
    for split, rows in (("train", (0, 1, 2)), ("dev", (3,)), ("test", (4, 5))):
        lines = "".join(f"q{n}\tdoc{n}\t2\nq{n}\tdoc{n + 1}\t1\n" for n in rows)
        (tmp_path / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    finetune(home / "run", tmp_path / "out", queries=tmp_path, **QUICK, progress=QUIET)
    assert told(tmp_path / "out")["pairs"] == 6
    (note,) = told(tmp_path / "out")["notes"]
    assert note.startswith("there are too few documents to hold 30 out")
    kept = load_queries(tmp_path / "out" / "queries.jsonl", None, "test", corpus.doc_ids)
    assert kept.relevant == ({"doc4": 2.0, "doc5": 1.0}, {"doc5": 2.0, "doc6": 1.0})


# What cannot be is told before a folder is made


@pytest.mark.parametrize(
    ("run", "how", "reason"),
    [
        ("run", {"dev_metric": "accuracy@3"}, "'accuracy@3' is no metric"),
        ("run", {"dev_metric": "recall"}, "'recall' needs a rank"),
        ("run", {"device": "cuda:77"}, "no device 'cuda:77'"),
        ("run", {"learning_rate": (0.0,)}, "learning_rate must be above 0"),
        ("run", {"epochs": 0}, "epochs must be above 0"),
        ("run", {"config": FinetuneConfig()}, "either a FinetuneConfig or keywords"),
        ("run", {"sequences": "taken.txt"}, "the task recommend learns from SEQUENCES alone"),
        ("run", {"task": "recommend"}, "the task recommend learns from SEQUENCES alone"),
        ("run", {"queries": None}, "learns from --queries, --pseudo, or both"),
        ("run", {"queries": None, "qrels": "x", "pseudo": ["x"]}, "--qrels go with --queries"),
        ("run", {"sources": ["title"]}, "--sources with --pseudo"),
    ],
)
def test_what_cannot_be_is_told_first(
    home: Path, run: str, how: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    with pytest.raises(InputError, match=reason):
        finetune(run, tmp_path / "out", **({"queries": "queries.jsonl", "device": "cpu"} | how), progress=QUIET)
    assert not (tmp_path / "out").exists()


def test_it_is_not_gone_on_with_from_other_ids_of_the_same_documents(home: Path, corpus: Corpus, tmp_path: Path):
    other = learn(corpus, tmp_path / "other", seed=5)
    how = data_of(home, "search") | QUICK | {"progress": QUIET}
    finetune(home / "run", tmp_path / "out", **how)
    with pytest.raises(InputError, match="was not begun from"):
        finetune(other, tmp_path / "out", **how, resume=True)


def test_a_fine_tuned_run_is_not_fine_tuned_again(home: Path, tmp_path: Path):
    how = data_of(home, "search") | QUICK | {"progress": QUIET}
    finetune(home / "run", tmp_path / "out", **how)
    assert is_finetuned(tmp_path / "out")
    with pytest.raises(InputError, match="is fine-tuned already; name the run that it was made from"):
        finetune(tmp_path / "out", tmp_path / "again", **how)
    with pytest.raises(InputError, match="exists already; go on with --resume"):
        finetune(home / "run", tmp_path / "out", **how)
    assert parse(FinetuneConfig, {}) == FinetuneConfig()
