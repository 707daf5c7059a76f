"""Everything on a GPU: on a real one with `-m gpu`, else on one made of a CPU, which refuses what CUDA would refuse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from fake_device import fake_cuda
from journey import LEARN, ask, scores, stop_and_resume, travel
from lmindexer import devices
from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.learn.memories import Memories
from lmindexer.methods.dense import DenseRetriever
from lmindexer.model.backbone import load_backbone
from lmindexer.model.query_writer import load_query_writer
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.progress import Progress

CUDA = "cuda:0"
real_only = pytest.mark.gpu


@pytest.fixture(scope="module")
def few(corpus: Corpus) -> Corpus:
    return Corpus.from_documents([corpus[row] for row in range(40)])


@pytest.fixture
def real_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device on this machine")


@pytest.fixture(params=["made of a CPU", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the device."""
    if request.param == "real":
        request.getfixturevalue("real_gpu")
        yield CUDA
    else:
        with fake_cuda(monkeypatch):
            yield CUDA


@contextmanager
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs are loaded as on a machine without a GPU."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setattr(devices, "choose_device", lambda name: torch.device("cpu"))
        yield


@pytest.mark.parametrize(
    ("backbone", "encoder", "history"),
    [("bert", "frozen", "both"), ("roberta", "top", "tokens"), ("t5", "full", "ids"), ("bart", "top", "text")],
)
def test_what_was_learned_on_a_gpu_answers_alike_on_a_gpu_and_on_a_cpu(
    backbone: str,
    encoder: str,
    history: str,
    gpu: str,
    few: Corpus,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    travel(few, checkpoints[backbone], tmp_path, gpu, history=history, encoder=encoder)
    there = ask(few, tmp_path)
    with on_the_cpu(monkeypatch):
        here = ask(few, tmp_path)
    assert (there.device, here.device) == ("cuda", "cpu")
    assert (there.codes == here.codes).all(1).mean() > 0.95
    torch.testing.assert_close(scores(there.found, few), scores(here.found, few), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(scores(there.recommended, few), scores(here.recommended, few), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("backbone", ["bert", "t5", "bart", "roberta", "qwen2", "llama"])
def test_states_and_gradients_are_those_of_the_cpu(backbone: str, gpu: str, few: Corpus, checkpoints: dict[str, Path]):
    def one_step(device: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """h of some documents, and the gradient of every weight, without dropout."""
        torch.manual_seed(0)
        loaded = load_backbone(str(checkpoints[backbone]), dropout=0.0, encoder="full")
        model = SemanticIndexer(loaded, (4, 3)).to(device)
        model.backbone.freeze("full", 0)
        model.train()
        tokens = Tokens.build(few, lambda texts: model.backbone.tokenize(texts, 32))
        prefix = torch.arange(8, device=device)[:, None] % 4
        hidden = model(Memories(model.backbone, tokens, bf16=False).memory(np.arange(8)), prefix)
        logits = [codebook.logits(hidden[:, t]) for t, codebook in enumerate(model.codebooks)]
        sum(x.logsumexp(1).mean() for x in logits).backward()  # type: ignore[union-attr]
        grads = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
        return hidden.detach().cpu(), grads

    (there, there_grads), (here, here_grads) = one_step(gpu), one_step("cpu")
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)
    assert there_grads.keys() == here_grads.keys()
    assert len(here_grads) > 20
    for name, gradient in here_grads.items():
        least = max(0.01 * float(gradient.abs().max()), 1e-5)  # a bias of keys has no gradient but rounding
        torch.testing.assert_close(there_grads[name], gradient, rtol=1e-2, atol=least, msg=name)


def test_dense_vectors_are_those_of_the_cpu(
    gpu: str, few: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lmindexer.indexers.embeddings.choose_bf16", lambda *_: False)

    def answers() -> list[torch.Tensor]:
        dense = DenseRetriever(few, str(checkpoints["bert"]))
        found, taken = dense.search(["rose", "old pan"], len(few)), dense.recommend([["doc1", "doc2"]], len(few))
        return [scores(found, few), scores(taken, few)]

    there = answers()
    with on_the_cpu(monkeypatch):
        here = answers()
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2)


@pytest.mark.parametrize("after", [9])
def test_a_run_that_was_stopped_goes_on(
    after: int, gpu: str, few: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    codes = stop_and_resume(few, checkpoints["bert"], tmp_path / "stopped", gpu, after)
    whole = LEARN | {"device": gpu, "encoder": "full", "backbone": str(checkpoints["bert"])}
    ids = LMIndexer(**whole).fit(few, tmp_path / "whole", progress=Progress(None)).ids
    assert ids is not None
    assert (codes == ids.codes).all(1).mean() > 0.9  # sums on a GPU are not always taken in the same order


def test_bfloat16_learns_and_answers_nearly_as_single_precision(
    gpu: str, few: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    travel(few, checkpoints["bert"], tmp_path, gpu, encoder="full", precision="bf16")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["bf16"] is True
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()
    there = ask(few, tmp_path)
    with on_the_cpu(monkeypatch):
        here = ask(few, tmp_path)
    assert (there.device, here.device) == ("cuda", "cpu")
    assert (there.codes == here.codes).all(1).mean() > 0.9
    torch.testing.assert_close(scores(there.found, few), scores(here.found, few), rtol=0.1, atol=0.2)


@real_only
def test_queries_are_written_on_a_gpu_and_torch_is_left_as_it_was(
    real_gpu: None, few: Corpus, checkpoints: dict[str, Path]
):
    writer = load_query_writer(str(checkpoints["t5"]), CUDA)
    before = torch.cuda.get_rng_state()
    first = writer.write(few.texts(range(6)), 2, WritingConfig(seed=1))
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert writer.write(few.texts(range(6)), 2, WritingConfig(seed=1)) == first
    assert any(first)
