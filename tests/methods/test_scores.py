"""Recommending by IDs, by nearness, and by their sum: taught on whole sequences, worked out again, kept and loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from command_line import lmindexer
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.changes import add_documents
from lmindexer.methods.generative.eq14 import id_codes, id_loss
from lmindexer.methods.generative.finetuned import FinetunedRetriever
from lmindexer.methods.generative.folder import load
from lmindexer.methods.generative.histories import HistoryMemories, States
from lmindexer.methods.generative.sequences import WholeSequences
from lmindexer.methods.generative.teachable import TeachableGenerator
from lmindexer.methods.weights import Together, pick
from lmindexer.model.backbone import Memory
from lmindexer.questions.questions import HISTORY, Questions
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.sequences import Sequences, leave_one_out
from lmindexer.runs import Run
from lmindexer.serving.explaining import explain_by_model
from lmindexer.serving.snapshot import open_snapshot
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_sequences

HISTORIES = [["doc3", "doc70", "doc3"], ["doc9"], [f"doc{n}" for n in range(40)]]


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores")
    return learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))


@pytest.fixture(scope="module")
def taught(run: Path, corpus: Corpus) -> Path:
    taken = write_sequences(run.parent / "taken.txt", corpus)
    quick: dict[str, Any] = QUICK | {"warmup_epochs": 0, "learning_rate": (1e-2,), "held_out": 0.0}
    finetune(run, run.parent / "taught", sequences=taken, **quick, progress=QUIET)
    return run.parent / "taught"


def begun(run: Path, corpus: Corpus, lists: list[list[int]], **settings: Any) -> tuple[WholeSequences, RecommendTask]:
    """What is taught of users who took these rows, by a model that was shaken as if it had learned."""
    of_all = {"task": "recommend", "device": "cpu", "precision": "fp32", "dropout": 0.0, "history_dropout": 0.0}
    config = FinetuneConfig(**(of_all | settings))
    lengths = np.array([len(rows) for rows in lists])
    users = tuple(f"u{n}" for n in range(len(lists)))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.concatenate(lists).astype(np.int32)
    task = RecommendTask(Sequences(users, taken, offsets, leave_one_out(lengths)), corpus, config)
    model = TeachableGenerator(Run.open(run), config)
    torch.manual_seed(1)
    assert model.model.reader is not None
    for p in model.model.reader.parameters():
        p.data += 0.1 * torch.randn_like(p)
    asked = model.read(task, run)
    assert isinstance(asked, HistoryMemories)
    return WholeSequences(model.model, asked, task, id_codes(model.model)), task


USERS = [[1, 2, 3, 4, 8, 9], [5, 6, 7, 0], [2, 4, 6, 8, 1, 3, 5], [7, 1, 2, 5]]


def test_a_step_is_of_whole_users_each_pair_once(run: Path, corpus: Corpus):
    lesson, task = begun(run, corpus, USERS, batch_size=3)
    pairs = lesson.lesson().epoch(np.random.default_rng(0))
    assert pairs.tolist() == list(range(len(task.target)))
    steps = lesson.batches(pairs, np.random.default_rng(0))
    assert sorted(np.concatenate(steps).tolist()) == pairs.tolist()
    users = [set(lesson.user[step].tolist()) for step in steps]
    assert [len(step) for step in users] == [3, 1]
    assert not users[0] & users[1]
    other = lesson.batches(pairs, np.random.default_rng(1))
    assert [step.tolist() for step in other] != [step.tolist() for step in steps]


def test_what_no_pass_reaches_is_not_taught(run: Path, corpus: Corpus):
    lesson, task = begun(run, corpus, [list(range(9)), [3, 4, 5, 6]], max_items=3)
    lengths = task.train.end - task.train.start
    pairs = lesson.lesson().epoch(np.random.default_rng(0))
    assert lengths[pairs].tolist() == [4, 5, 6, 1], "the last three of seven, and all of the other user"


@torch.no_grad()
def test_both_losses_by_the_obvious_way(run: Path, corpus: Corpus):
    """The dense loss is over the items that users took in training, and no other."""
    lesson, task = begun(run, corpus, USERS, dense=0.5)
    model, pairs = lesson.model, np.arange(len(task.target))
    losses = lesson.losses(pairs)
    codes = id_codes(model)[torch.from_numpy(task.target).long()]
    ids = id_loss(model, lesson.histories.memory(pairs), codes, torch.ones(len(pairs)))
    torch.testing.assert_close(losses["ids"], ids)
    taken = sorted({row for rows in USERS for row in rows[:-2]})
    assert len(taken) < len(corpus)
    states = lesson.histories.states(pairs)
    scores = states.newest @ states.catalogue[taken].T
    dense = F.cross_entropy(scores, torch.tensor([taken.index(row) for row in task.target.tolist()]))
    torch.testing.assert_close(losses["dense"], dense)
    torch.testing.assert_close(losses["loss"], ids + 0.5 * dense)
    alone, _ = begun(run, corpus, USERS, dense=0.0)
    assert set(alone.losses(pairs)) == {"loss"}


def test_ids_are_learned_of_a_share(run: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    lesson, task = begun(run, corpus, USERS, id_share=0.5)
    seen, memory_of = list[int](), lesson.histories.memory_of

    def counted(states: States) -> Memory:
        seen.append(len(states.place))
        return memory_of(states)

    monkeypatch.setattr(lesson.histories, "memory_of", counted)
    lesson.losses(np.arange(len(task.target)))
    assert seen == [round(len(task.target) / 2)]


def test_what_is_held_out_is_neither_an_answer_nor_an_item_of_its_own(run: Path, corpus: Corpus):
    lesson, task = begun(run, corpus, USERS)
    items = lesson.histories.items
    without_one = lesson.losses(np.array([0]))["dense"]
    fewer = []
    for item in {row for rows in USERS for row in rows[:-2]} - {int(task.target[0])}:
        items.known[item] = False
        fewer.append(float(lesson.losses(np.array([0]))["dense"]))
        items.known[item] = True
    assert max(fewer) <= without_one
    assert min(fewer) < without_one


def rows_and_scores(taught: Path, score: str, k: int = 80, **how: Any) -> list[dict[str, float]]:
    lists = FinetunedRetriever(load(taught), score=score, **how).recommend(HISTORIES, k)
    return [{hit.doc_id: hit.score for hit in hits} for hits in lists]


def test_the_sum_is_of_both_by_the_weights_of_the_run(taught: Path):
    """With as many beams as there are documents each has both scores."""
    kept = json.loads((taught / "weights.json").read_text())["history"]
    assert kept["metric"] == "recall@10"
    assert kept["dev"] >= max(kept["alone"].values())
    (taught / "weights.json").write_text(json.dumps({"history": kept | {"weights": {"ids": 1.0, "dense": 0.25}}}))
    facts = json.loads((taught / "run.json").read_text())
    del facts["files"]["weights.json"]
    (taught / "run.json").write_text(json.dumps(facts))
    lists = (rows_and_scores(taught, score, beams=80) for score in ("ids", "dense", "sum"))
    for ids, dense, both in zip(*lists, strict=True):
        assert both == pytest.approx({doc_id: ids[doc_id] + 0.25 * dense[doc_id] for doc_id in ids}, abs=1e-4)
        assert sum(np.exp(list(dense.values()))) == pytest.approx(1, abs=1e-4)


def test_beyond_the_best_of_both_log_p_is_the_lowest_of_these(taught: Path):
    ids, dense = rows_and_scores(taught, "ids", beams=80), rows_and_scores(taught, "dense")
    model = load(taught)
    assert model.weights is not None
    found = FinetunedRetriever(model, beams=5).recommend(HISTORIES, 80)
    generated = FinetunedRetriever(model, beams=5, score="ids").recommend(HISTORIES, 5)
    for hits, first, log_p, nearness in zip(found, generated, ids, dense, strict=True):
        scored = {hit.doc_id for hit in first} | set(sorted(nearness, key=lambda doc_id: -nearness[doc_id])[:5])
        assert 5 <= len(scored) <= 10
        lowest = min(log_p[doc_id] for doc_id in scored)
        expected = {d: (log_p[d] if d in scored else lowest) + model.weights[1] * nearness[d] for d in log_p}
        assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-3)


def test_what_is_weighed_holds_the_best_whatever_the_weights(taught: Path):
    recommender = FinetunedRetriever(load(taught), beams=5)
    ranks = tie_ranks(recommender.doc_ids)
    for weights in ((1.0, 0.1), (1.0, 10.0), (0.0, 1.0)):
        recommender.weights = weights
        whole = [[hit.doc_id for hit in hits] for hits in recommender.recommend(HISTORIES, 7)]
        some = recommender.scored(HISTORIES, HISTORY, 7)
        best = Together(some, ranks).best(weights, 7).tolist()
        assert [[recommender.doc_ids[row] for row in rows] for rows in best] == whole
        assert max(len(one.rows) for one in some) < 80
    found = pick(recommender, Questions(tuple(HISTORIES), ({"doc1": 1.0},) * 3), "recall@10")
    assert set(found.by_part) == {"ids", "dense"}


def test_later_items_are_what_their_texts_say(taught: Path, corpus: Corpus, tmp_path: Path):
    folder = Path(shutil.copytree(taught, tmp_path / "later"))
    before = load(folder)
    add_documents(folder, Corpus.from_documents([Document("new", corpus[7].text)]))
    later = load(folder)
    assert before.reader is not None
    assert later.reader is not None
    assert later.items is not None
    assert later.items.known.tolist() == [doc_id != "new" for doc_id in later.corpus.doc_ids]
    assert later.reader.embedding is not None
    assert later.reader.embedding.weight.any(1).sum() > 70
    row = later.corpus.row_of["new"]
    assert not later.reader.embedding.weight[row].any()
    kept = [later.corpus.row_of[doc_id] for doc_id in before.corpus.doc_ids]
    assert torch.equal(later.reader.embedding.weight[kept], before.reader.embedding.weight)
    found = FinetunedRetriever(later, score="dense").recommend([["new"]], 81)[0]
    assert "new" in {hit.doc_id for hit in found}


def test_scores_by_command(taught: Path, run: Path):
    lists = {
        score: lmindexer("search", taught, "--history", "doc3", "--score", score, "--format", "jsonl").out
        for score in ("ids", "dense", "sum")
    }
    assert len(set(lists.values())) == 3
    assert lists["sum"] == lmindexer("search", taught, "--history", "doc3", "--format", "jsonl").out
    refused = lmindexer("search", run, "rose", "--score", "dense")
    assert (refused.code, refused.err) == (
        2, "lmindexer: this run scores by sum, ids, not 'dense'; choose one of these\n"
    )  # fmt: skip


def test_a_run_without_the_second_loss_has_its_ids_alone(taught: Path, run: Path):
    quick: dict[str, Any] = QUICK | {"warmup_epochs": 0, "held_out": 0.0, "dense": 0.0}
    finetune(run, run.parent / "lean", sequences=run.parent / "taken.txt", **quick, progress=QUIET)
    assert not (run.parent / "lean" / "weights.json").exists()
    model = load(run.parent / "lean")
    assert FinetunedRetriever(model, score="ids").recommend(HISTORIES) == FinetunedRetriever(model).recommend(HISTORIES)
    assert "score" not in FinetunedRetriever(model).settings
    with pytest.raises(InputError, match="this run scores by sum, ids, not 'dense'; choose one of these"):
        FinetunedRetriever(model, score="dense")


def test_runs_are_evaluated_together(taught: Path, run: Path, tmp_path: Path):
    sequences = run.parent / "taken.txt"
    quick = {"epochs": 1, "dim": 8, "device": "cpu", "precision": "fp32", "progress": QUIET}
    finetune(run, tmp_path / "sasrec", sequences=sequences, method="sasrec", **quick)
    answer = lmindexer("evaluate", taught, tmp_path / "sasrec", "--format", "json", "--trec", tmp_path / "found.trec")
    assert answer.code == 0, answer.err
    assert "note: fuse is taught 1, sasrec " in answer.err or "note: fuse is taught 0, sasrec 1" in answer.err
    methods = json.loads(answer.out)["tables"]["as_is"]["methods"]
    assert list(methods) == ["taught", "sasrec", "fuse"]
    alone = json.loads(lmindexer("evaluate", taught, "--format", "json").out)["tables"]["as_is"]["methods"]
    assert methods["taught"]["metrics"]["ndcg@10"]["mean"] == alone["generative"]["metrics"]["ndcg@10"]["mean"]
    assert (tmp_path / "found.trec").exists()
    refused = lmindexer("evaluate", taught, tmp_path / "sasrec", "--method", "popular")
    assert (refused.code, "leave out --method and its options" in refused.err) == (2, True)


def test_the_parts_of_a_score_add_up_to_it(taught: Path):
    recommender = FinetunedRetriever(load(taught), beams=5)
    recommender.weights = (1.0, 0.3)
    (hits,) = recommender.recommend(HISTORIES[:1], 9)
    parts = recommender.score_parts(HISTORIES[0], hits)
    assert {name for part in parts for name in part} == {"ids", "dense"}
    assert [sum(part.values()) for part in parts] == pytest.approx([hit.score for hit in hits], abs=1e-3)
    only = [hit.doc_id for hit in hits[:4]]
    (fewer,) = recommender.recommend(HISTORIES[:1], 4, only=only)
    some = recommender.score_parts(HISTORIES[0], fewer, only=only)
    assert [sum(part.values()) for part in some] == pytest.approx([hit.score for hit in fewer], abs=1e-3)


def test_a_service_explains_a_recommendation(taught: Path):
    snapshot = open_snapshot("rec", taught, "generative", {})
    (hits,) = snapshot.retriever.recommend(HISTORIES[:1], 5)
    why = explain_by_model(snapshot, HISTORY, tuple(HISTORIES[0]), hits[2].doc_id, 5)
    assert why["rank"] == 3
    assert sum(why["parts"].values()) == pytest.approx(why["score"], abs=1e-3)
    assert len(why["path"]) == 3
