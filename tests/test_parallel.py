"""Two processes learn what one does: on a CPU, with a tiny checkpoint, the same IDs and all but the same weights."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from command_line import SMALL, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.learn.losses import split_hints
from lmindexer.parallel import NumbersOfTheBatch, Part
from lmindexer.training import Trainer
from processes import in_processes
from small_tasks import StoppedError, write_queries

QUIET = ("--quiet", "--precision", "fp32", "--device", "cpu")
ROWS = np.arange(7)


@pytest.fixture(scope="module")
def items(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(corpus, tmp_path_factory.mktemp("parallel") / "items.jsonl")


def learn(items: Path, out: Path, checkpoint: Path, encoder: str) -> tuple[object, ...]:
    """Batches of 27 of 80 documents: no two parts are alike, and the last batch has fewer."""
    more = ("--backbone", checkpoint, "--encoder", encoder, "--batch-size", 27, "--epochs", 2)
    return ("learn", items, "--out", out, *SMALL, *QUIET, *more)


def assert_same(one: Path, other: Path, *names: str) -> None:
    """Two runs have the same IDs, and learned the same but for how floating point adds up."""
    assert (one / "ids.jsonl").read_text() == (other / "ids.jsonl").read_text()
    for name in names:
        a, b = load_file(one / name), load_file(other / name)
        assert a.keys() == b.keys()
        for key in a:
            assert torch.allclose(a[key].float(), b[key].float(), rtol=0, atol=2e-4), key


def done(answer: object) -> None:
    assert answer.code == 0, answer.err  # type: ignore[attr-defined]


WEIGHTS = "indexer.safetensors", "reconstructor.safetensors"


def test_two_processes_learn_the_ids_that_one_does(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    done(in_processes(2, *learn(items, tmp_path / "two", checkpoints["bert"], "full")))
    done(lmindexer(*learn(items, tmp_path / "alone", checkpoints["bert"], "full")))
    assert_same(tmp_path / "two", tmp_path / "alone", *WEIGHTS)
    assert lmindexer("check", tmp_path / "two").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encoder"), [("bert", "frozen"), ("t5", "full"), ("qwen2", "full")])
def test_three_processes_go_on_where_one_was_stopped(
    items: Path,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    encoder: str,
):
    command = (*learn(items, tmp_path / "out", checkpoints[name], encoder), "--checkpoint-seconds", 0)
    step, steps = Trainer._step, list[int]()

    def stopping(*arguments: object) -> None:
        steps.append(0)
        if len(steps) == 8:
            raise StoppedError
        step(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", stopping)
        with pytest.raises(StoppedError):
            lmindexer(*command)
    done(in_processes(3, *command, "--resume"))
    done(lmindexer(*learn(items, tmp_path / "alone", checkpoints[name], encoder)))
    assert_same(tmp_path / "out", tmp_path / "alone", *WEIGHTS)


@pytest.mark.parametrize(("size", "encoder"), [(5, "frozen"), pytest.param(8, "full", marks=pytest.mark.slow)])
def test_two_processes_teach_what_one_does(
    items: Path, checkpoints: dict[str, Path], tmp_path: Path, size: int, encoder: str
):
    run, queries = tmp_path / "run", write_queries(tmp_path / "queries.jsonl")
    learned(items, "--out", run, "--backbone", checkpoints["bert"], "--quiet")

    def teach(out: str) -> tuple[object, ...]:
        how = ("--epochs", 2, "--warmup-epochs", 1, "--batch-size", size, "--encoder", encoder, *QUIET)
        return ("finetune", run, "--queries", queries, "--out", tmp_path / out, *how)

    done(in_processes(2, *teach("two")))
    done(lmindexer(*teach("alone")))
    assert_same(tmp_path / "two", tmp_path / "alone", "retriever.safetensors")


def test_what_learns_in_one_process_is_refused_in_two(items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    from lmindexer.errors import InputError
    from lmindexer.indexers.lmindexer import LMIndexer
    from lmindexer.indexers.two_step import TwoStepIndexer
    from lmindexer.teaching.fine_tuning import finetune

    with pytest.raises(InputError, match="--indexer rq-vae learns in one process; start it without torchrun"):
        TwoStepIndexer(indexer="rq-vae").fit(Corpus.read([items]), tmp_path / "run")
    with pytest.raises(InputError, match="--view crop or --commit-crop learns in one process"):
        LMIndexer(view="crop").fit(Corpus.read([items]), tmp_path / "run")
    with pytest.raises(InputError, match="--items both learns in one process"):
        finetune(tmp_path / "run", sequences=[["doc1", "doc2", "doc3"]], out=tmp_path / "taught")
    with pytest.raises(InputError, match="--dense-loss learns in one process"):
        finetune(tmp_path / "run", queries=[], dense_loss=1.0, out=tmp_path / "taught")


def of_parts(draw: Callable[[Tensor], Tensor], x: Tensor, *bounds: int) -> Tensor:
    """What parts of the rows x (B * n, ...) of 7 documents draw by themselves, put together."""
    rows, parts = len(x) // len(ROWS), []
    for start, end in itertools.pairwise(bounds):
        torch.manual_seed(1)
        with NumbersOfTheBatch(Part(ROWS, start, end)):
            parts.append(draw(x[start * rows : end * rows]))
    return torch.cat(parts)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: F.dropout(x, 0.4),
        lambda x: F.dropout(x.transpose(1, 2), 0.4).transpose(1, 2),
        lambda x: torch.native_dropout(x, 0.4, True)[0],
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.4),
        lambda x: split_hints(x[:, 0] > -1, 0.5)[0].float(),
    ],
)
def test_parts_draw_the_numbers_of_the_batch(draw: Callable[[Tensor], Tensor]):
    torch.manual_seed(0)
    x = torch.randn(14, 4, 6)
    torch.manual_seed(1)
    whole = draw(x)
    assert torch.allclose(of_parts(draw, x, 0, 3, 4, 7), whole, atol=1e-6)
