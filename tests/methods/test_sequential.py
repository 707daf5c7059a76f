"""Networks that read items in order: what they see, what is minimised, and that they learn, are kept and asked."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from command_line import lmindexer
from lmindexer.config import SEQUENTIAL, FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.methods.registry import METHODS, load_retriever
from lmindexer.methods.sequential import losses
from lmindexer.methods.sequential.losses import next_item_loss
from lmindexer.methods.sequential.model import SequenceRetriever, TeachableSequence, hide
from lmindexer.methods.sequential.networks import (
    HGN_WINDOW,
    NETWORKS,
    Bert4Rec,
    Places,
    SelfAttention,
    SequenceNetwork,
    filtered,
    windows,
)
from lmindexer.methods.taught import taught_by
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUIET, learn, teach_whole_and_stopped, write_sequences

QUICK = {"epochs": 2, "batch_size": 32, "device": "cpu", "precision": "fp32", "dim": 16}
BY_HEART = QUICK | {
    "epochs": 60, "batch_size": 16, "learning_rate": (1e-2,), "dropout": 0.0, "patience": 0, "dev_metric": "recall@1",
    "dim": 64,
}  # fmt: skip
HISTORIES = [["doc1"], ["doc5", "doc2", "doc5"], [f"doc{n}" for n in range(60)]]


@pytest.fixture(scope="module")
def home(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequential")
    write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="none")
    return folder


@pytest.fixture(scope="module", params=SEQUENTIAL)
def taught(request: pytest.FixtureRequest, home: Path) -> Path:
    out = home / request.param
    finetune(home / "run", out, sequences=home / "taken.txt", method=request.param, **BY_HEART, progress=QUIET)
    return out


def config_of(method: str, **settings: Any) -> FinetuneConfig:
    return parse(FinetuneConfig, {"task": "recommend", "method": method, "dim": 8, "dropout": 0.0} | settings)


def network_of(method: str, items: int = 20, **settings: Any) -> SequenceNetwork:
    torch.manual_seed(0)
    texts = torch.randn(items, 6)
    return NETWORKS[method](items, config_of(method, **settings), texts if method == "fdsa" else None).eval()


def test_the_lists_agree():
    assert set(NETWORKS) == {name for name, method in METHODS.items() if method.teachable.startswith("sequential")}
    assert set(NETWORKS) == set(SEQUENTIAL)


# What a network sees


@pytest.mark.parametrize("method", [name for name in SEQUENTIAL if name != "bert4rec"])
def test_a_state_sees_its_item_and_those_before_it_alone(method: str):
    network = network_of(method)
    items = torch.tensor([[3, 7, 1, 9, 4, 2]])
    states = network(items)
    for at in range(6):
        changed = items.clone()
        changed[0, at] = 15
        same = torch.isclose(network(changed), states, atol=1e-5).all(2)[0]
        assert same[:at].all(), "nothing of what comes later"
        assert not same[at], "its own item"
        assert not same[-1] or (method == "hgn" and at + HGN_WINDOW < 6), "and what came before"


def test_bert4rec_sees_what_comes_later():
    network = network_of("bert4rec")
    items = torch.tensor([[3, 7, 1, 9]])
    changed = torch.tensor([[3, 7, 1, 8]])
    assert not torch.isclose(network(changed)[0, 0], network(items)[0, 0], atol=1e-5).all()


@pytest.mark.parametrize("method", SEQUENTIAL)
def test_what_fills_up_a_batch_changes_nothing(method: str):
    network = network_of(method)
    alone = network(torch.tensor([[3, 7, 1]]))
    beside = network(torch.tensor([[3, 7, 1, 0, 0], [4, 5, 6, 7, 8]]))
    torch.testing.assert_close(beside[0, :3], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", SEQUENTIAL)
def test_the_catalogue_has_all_items_and_no_other(method: str):
    assert network_of(method, items=20).catalogue().shape == (20, 8)


def test_windows_by_hand():
    states = torch.arange(1.0, 8.0).view(1, 7, 1)
    found = windows(states)
    assert found.shape == (1, 7, HGN_WINDOW, 1)
    assert found[0, 0, :, 0].tolist() == [0, 0, 0, 0, 1]
    assert found[0, 6, :, 0].tolist() == [3, 4, 5, 6, 7]


def test_filters_by_hand():
    states = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1)
    taps = torch.tensor([[10.0], [1.0], [0.5], [100.0], [7.0]])  # of this state, of the one before it, ...
    assert filtered(states, taps).view(-1).tolist() == pytest.approx([10, 21, 32.5, 44 + 100], rel=1e-5)


def test_a_block_of_sasrec_by_hand():
    block = SelfAttention(config_of("sasrec")).eval()
    state = torch.randn(1, 1, 8)  # one item looks at itself alone, whatever it looks from
    attention = block.attention
    assert attention.in_proj_weight is not None
    seen = attention.out_proj(state @ attention.in_proj_weight[16:].T)  # its biases begin at 0
    state_then = torch.nn.functional.layer_norm(state + seen, (8,))
    expected = state_then + block.feed_forward(state_then)
    torch.testing.assert_close(block(state, None, None), expected, rtol=1e-4, atol=1e-5)


def test_positions_count_from_the_newest_item():
    places = Places(config_of("sasrec", max_items=4))
    empty = torch.tensor([[False, False, True], [False, False, False]])
    vectors, table = places(empty), places.vectors.weight
    assert torch.equal(vectors[0, :2], table[3:])
    assert torch.equal(vectors[1], table[2:])


def test_text_is_read_by_fdsa_alone():
    one, other = network_of("fdsa"), network_of("fdsa")
    other.texts[5] += 1.0  # type: ignore[union-attr, operator]
    assert not torch.equal(one(torch.tensor([[5]])), other(torch.tensor([[5]])))
    assert torch.equal(one(torch.tensor([[6]])), other(torch.tensor([[6]])))
    with pytest.raises(ValueError, match="FDSA reads the texts of items"):
        NETWORKS["fdsa"](20, config_of("fdsa"))


# What is minimised


def test_losses_by_hand(monkeypatch: pytest.MonkeyPatch):
    items = torch.eye(3)
    states, wanted = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([1])
    whole = math.log(math.exp(2) + math.exp(1) + 1) - 1
    assert next_item_loss(states, items, wanted, "ce", 1).item() == pytest.approx(whole)
    drawn = torch.tensor([[0, 1, 2]])  # the wanted one among them does not count
    monkeypatch.setattr(torch, "randint", lambda *size, **_: drawn)
    assert next_item_loss(states, items, wanted, "sampled", 3).item() == pytest.approx(whole)
    binary = math.log(1 + math.exp(-1)) + (math.log(1 + math.exp(2)) + math.log(2) + 0) / 3
    assert next_item_loss(states, items, wanted, "bce", 3).item() == pytest.approx(binary)


def test_the_binary_loss_draws_one_item_as_published():
    assert config_of("sasrec", loss="bce").negatives == 1
    assert config_of("sasrec", loss="bce", negatives=5).negatives == 5
    assert config_of("sasrec", loss="sampled").negatives == 256


def test_items_are_drawn_alike():
    torch.manual_seed(0)
    items = torch.eye(4)
    states, wanted = 9 * items[torch.tensor([0, 1, 2, 3] * 500)], torch.tensor([3] * 2000)
    nats = torch.stack([next_item_loss(states[n::4], items, wanted[n::4], "sampled", 1) for n in range(4)])
    nine = math.log(1 + math.exp(9))  # the item that the state is of was drawn: one time of four
    assert nats[:3].tolist() == pytest.approx([(nine + math.log(2) * 2) / 4] * 3, rel=0.15)
    assert nats[3].item() == pytest.approx(3 * math.log(1 + math.exp(-9)) / 4, rel=0.15)


def test_a_step_reads_users_of_any_length(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps, lesson = list[np.ndarray](), TeachableSequence.lesson

    def recorded(self: TeachableSequence, *arguments: Any) -> Any:
        found = lesson(self, *arguments)

        def losses(users: np.ndarray) -> dict[str, torch.Tensor]:
            steps.append(found.lengths[users])
            return found.losses(users)

        return replace(found, losses=losses)

    monkeypatch.setattr(TeachableSequence, "lesson", recorded)
    taken = [[f"u{u}", *(f"doc{(u + n) % 60}" for n in range(12 if u % 2 else 4))] for u in range(80)]
    (tmp_path / "taken.txt").write_text("\n".join(map(" ".join, taken)) + "\n")
    how = QUICK | {"epochs": 1, "batch_size": 20, "method": "hgn", "progress": QUIET}
    finetune(home / "run", tmp_path / "out", sequences=tmp_path / "taken.txt", **how)
    assert [len(lengths) for lengths in steps] == [20] * 4
    assert all(set(lengths) == {2, 10} for lengths in steps)


def test_hidden_items_by_hand():
    torch.manual_seed(0)
    items = torch.tensor([[1, 2, 3, 4, 5, 0, 0]] * 4000)
    read, hidden = hide(items, 0.3, mask=9)
    assert (read[hidden] == 9).all()
    assert (read[~hidden] == items[~hidden]).all()
    assert not hidden[:, 5:].any()
    assert hidden.any(1).all(), "of every sequence something is hidden"
    alone = hidden[:, 4] & (hidden.sum(1) == 1)
    some = hidden[~alone].float().mean(0)
    assert alone.float().mean().item() == pytest.approx(0.25 + 0.75 * (0.7**5 + 0.3 * 0.7**4), abs=0.02)
    assert some[:4].min() > 0.25


def test_every_item_is_wanted_after_those_before_it(home: Path, corpus: Corpus):
    (home / "few.txt").write_text("u1 doc3 doc4 doc5 doc6 doc7\nu2 doc8 doc9 doc3 doc4\nu3 doc1 doc2 doc3\n")
    config = config_of("sasrec", max_items=2)
    model = TeachableSequence(Run.open(home / "run"), config)
    task = RecommendTask(load_sequences(home / "few.txt", corpus.doc_ids), corpus, config)
    lesson = model.lesson(task, home, QUIET)
    users = lesson.epoch(np.random.default_rng(0))
    assert users.tolist() == [0, 1], "of the third user one item is left to learn from"
    assert lesson.lengths[users].tolist() == [3, 2]
    network = model.network.eval()
    rows = [[corpus.row_of[f"doc{n}"] + 1 for n in items] for items in ([3, 4, 5], [8, 9])]
    nats = []
    for items in rows:
        states = network(torch.tensor([items[:-1]]))[0]
        scores = (states @ network.catalogue().T).log_softmax(1)
        nats += [-scores[place, item - 1] for place, item in enumerate(items[1:])]
    assert lesson.losses(users)["loss"].item() == pytest.approx(torch.stack(nats).mean().item(), rel=1e-4)


# A whole run


def test_it_learns_what_comes_next(taught: Path):
    best = Run(taught).read_json("finetune.json")["best"]
    assert best > (0.15 if taught.name == "bert4rec" else 0.9)
    assert taught_by(taught) == taught.name


def test_the_newest_items_are_read(taught: Path):
    retriever = load_retriever(taught)
    assert isinstance(retriever, SequenceRetriever)
    most = retriever.config.max_items
    (whole,), (newest,) = (retriever.recommend([history], 5) for history in (HISTORIES[2], HISTORIES[2][-most:]))
    assert whole == newest
    together = retriever.recommend(HISTORIES, 5)
    for history, hits in zip(HISTORIES, together, strict=True):
        (alone,) = retriever.recommend([history], 5)
        assert [hit.doc_id for hit in alone] == [hit.doc_id for hit in hits]
        assert [hit.score for hit in alone] == pytest.approx([hit.score for hit in hits], rel=1e-4)


def test_documents_come_and_go(taught: Path):
    before = load_retriever(taught).recommend(HISTORIES[:1], 100)[0]
    add_documents(taught, Corpus.from_documents([Document("new", "a rose")]))
    retriever = load_retriever(taught)
    assert retriever.recommend(HISTORIES[:1], 100)[0] == before, "one that came later is not found"
    assert retriever.recommend([["doc1", "new"]], 100)[0] == before, "and is passed over"
    assert retriever.recommend([["new"]], 5) == [[]]
    remove_documents(taught, ["new", "doc7"])
    after = load_retriever(taught).recommend(HISTORIES[:1], 100)[0]
    assert [hit for hit in before if hit.doc_id != "doc7"] == after
    add_documents(taught, Corpus.from_documents([Document("doc7", "it is back")]))
    assert load_retriever(taught).recommend(HISTORIES[:1], 100)[0] == before


@pytest.mark.parametrize("method", SEQUENTIAL)
def test_stopped_and_resumed_it_ends_the_same(home: Path, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    how = QUICK | {"sequences": home / "taken.txt", "method": method, "progress": QUIET, "dropout": 0.3}
    how |= {"checkpoint_seconds": 0.0}
    teach_whole_and_stopped(partial(finetune, home / "run", **how), tmp_path, monkeypatch)
    ends = [load_retriever(tmp_path / name).recommend(HISTORIES, 80) for name in ("whole", "out")]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "sasrec", "task": "search"}, "sasrec recommends; name the SEQUENCES that it learns from"),
        ({"method": "sasrec", "heads": 0}, "heads must be above 0, not 0"),
        ({"method": "sasrec", "negatives": 5}, "negatives is a setting of --loss sampled or --loss bce, not of sasrec"),
        ({"method": "sasrec", "heads": 3}, "dim 64 must be a multiple of heads, 3"),
        (
            {"method": "gru4rec", "heads": 2},
            "heads is a setting of sasrec or bert4rec or fdsa or generative to recommend, not of gru4rec",
        ),
        ({"method": "hgn", "items": "ids"}, "items is a setting of generative to recommend, not of hgn"),
        ({"method": "bert4rec", "mask_share": 1.0}, "mask_share must be above 0 and below 1"),
        ({"method": "caser"}, "method must be one of generative, dual-encoder, seal, bm25, sasrec"),
        ({"method": "sasrec", "loss": "softmax"}, "loss must be one of ce, sampled, bce"),
    ],
)
def test_what_does_not_fit_is_refused(home: Path, settings: dict[str, Any], reason: str, tmp_path: Path):
    with pytest.raises(InputError, match=reason):
        finetune(home / "run", tmp_path / "out", sequences=home / "taken.txt", **settings, progress=QUIET)
    assert not (tmp_path / "out").exists()


def test_a_flag_that_agrees_with_the_run_that_goes_on_is_taken(taught: Path):
    again = ("finetune", taught.parent / "run", taught.parent / "taken.txt", "--out", taught, "--resume")
    assert lmindexer(*again, "--dim", 64).code == 0
    answer = lmindexer(*again, "--dim", 32)
    assert f"{taught} was begun with --dim 64, not 32" in answer.err


def test_an_empty_answer_has_its_reason(taught: Path):
    add_documents(taught, Corpus.from_documents([Document("later", "a rose")]))
    answer = lmindexer("search", taught, "--history", "later")
    remove_documents(taught, ["later"])
    assert f"came after the run was taught {taught.name}; teach it anew" in answer.err


def test_a_run_taught_another_method_says_so(home: Path, corpus: Corpus, tmp_path: Path):
    learn(corpus, tmp_path / "run", indexer="random")
    finetune(tmp_path / "run", tmp_path / "hgn", sequences=home / "taken.txt", method="hgn", **QUICK, progress=QUIET)
    answer = lmindexer("search", tmp_path / "hgn", "--history", "doc1", "--method", "generative")
    assert (
        "was not taught to recommend by generated IDs but to recommend by hgn; run lmindexer finetune on" in answer.err
    )
    with pytest.raises(InputError, match="was learned by random, which has no model to generate IDs"):
        load_retriever(tmp_path / "hgn", "generative")


def test_users_of_too_few_items_are_the_reason(taught: Path):
    (taught.parent / "short.txt").write_text("u1 doc1 doc2\nu2 doc3 doc4\n")
    answer = lmindexer("evaluate", taught, "--sequences", taught.parent / "short.txt")
    assert answer.code == 2
    assert "no user took 3 items or more, so none can be evaluated" in answer.err


def test_a_run_is_not_asked_by_a_method_that_it_was_not_taught(home: Path):
    with pytest.raises(InputError, match="was not taught sasrec; run lmindexer finetune RUN SEQUENCES --method sasrec"):
        load_retriever(home / "run", "sasrec")


def test_a_damaged_one_is_refused(home: Path, tmp_path: Path):
    finetune(home / "run", tmp_path / "out", sequences=home / "taken.txt", method="hgn", **QUICK, progress=QUIET)
    run = Run.open(tmp_path / "out")
    run.update(files={})  # so that no digest tells
    (tmp_path / "out" / "sequence.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"sequence\.safetensors cannot be read .*fine-tune anew"):
        load_retriever(tmp_path / "out")


def test_the_mask_is_no_item():
    network = network_of("bert4rec", items=20)
    assert isinstance(network, Bert4Rec)
    assert network.mask == 21
    assert network.embedding.num_embeddings == 22


@pytest.mark.parametrize("at_once", [1, 7 * 11, 2**20])
def test_cross_entropy_in_pieces_is_that_of_torch(at_once: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(losses.SCORES_AT_ONCE, "cpu", at_once)
    torch.manual_seed(0)
    wanted = torch.randint(11, (40,))
    ends = []
    for loss in (
        lambda states, items: next_item_loss(states, items, wanted, "ce", 0),
        lambda states, items: torch.nn.functional.cross_entropy(states @ items.T, wanted),
    ):
        torch.manual_seed(1)
        states, items = (3 * torch.randn(40, 5)).requires_grad_(), torch.randn(11, 5).requires_grad_()
        value = loss(states, items)
        (2 * value).backward()
        ends.append((value.detach(), states.grad, items.grad))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-5, atol=1e-6)


def test_cross_entropy_of_far_scores_is_a_number():
    states, items = torch.tensor([[1000.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]], requires_grad=True)
    value = next_item_loss(states, items, torch.tensor([1]), "ce", 0)
    value.backward()
    assert value.item() == 2000
    assert states.grad is not None
    assert states.grad.item() == 2
