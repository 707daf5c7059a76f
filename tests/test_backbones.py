"""Every kind of backbone from end to end: learned, indexed, fine-tuned, searched and loaded again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from command_line import SMALL, lmindexer, write_items
from lmindexer import Corpus, Document
from lmindexer.config import FinetuneConfig
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.methods.generative.eq14 import freeze_encoder, freeze_what_reads
from lmindexer.methods.generative.folder import begin_model, load
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.registry import load_retriever
from lmindexer.model.backbone import load_backbone
from lmindexer.runs import Run
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_queries, write_sequences
from tiny import CAUSAL

ODD = "rose <mask> ISBN [PAD] <extra_id_3> 薔薇 pan pan"  # what no document holds, or no row stands for


@pytest.fixture(scope="module")
def few(corpus: Corpus) -> Corpus:
    return Corpus.from_documents([*(corpus[row] for row in range(40)), Document("odd", ODD)])


@pytest.mark.parametrize("encoder", ["frozen", "top", "full"])
def test_learn_index_finetune_search_and_load(encoder: str, checkpoint: Path, few: Corpus, tmp_path: Path):
    if encoder == "top" and load_backbone(str(checkpoint), encoder=encoder).layers is None:
        pytest.skip("its encoder cannot be cut")
    part = {"encoder": encoder, "top_layers": 1}
    run = learn(few, tmp_path / "run", indexer="lmindexer", sizes=(4, 3), backbone=str(checkpoint), **part)
    first, second = LMIndexer.load(run), LMIndexer.load(run)
    new = Corpus.from_documents([Document("new", "a rose"), Document("odd again", ODD)])
    assert first.ids is not None
    assert first.index(few) == first.ids
    assert np.array_equal(first.index(new).paths, second.index(new).paths)
    queries = write_queries(tmp_path / "queries.jsonl")
    searcher = finetune(run, tmp_path / "tuned", queries=queries, progress=QUIET, rescore=False, **QUICK, **part)
    again = load_retriever(tmp_path / "tuned")
    assert isinstance(searcher, GenerativeRetriever)
    assert isinstance(again, GenerativeRetriever)
    hits = searcher.search(["the rose", "pan", ODD], k=5)
    assert hits == again.search(["the rose", "pan", ODD], k=5)
    assert all(len({hit.doc_id for hit in found}) == 5 for found in hits)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_model_held_in_bfloat16_is_the_same_when_it_is_loaded(
    name: str, checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    held = {"backbone": str(checkpoints[name]), "backbone_dtype": "bf16"}
    run = learn(few, tmp_path / "run", indexer="lmindexer", sizes=(4, 3), **held)
    model = LMIndexer.load(run).model
    assert model is not None
    assert {p.dtype for p in model.backbone.pretrained()} == {torch.bfloat16}
    queries = write_queries(tmp_path / "queries.jsonl")
    for part, dtype in (("frozen", torch.bfloat16), ("top", torch.float32)):
        out = tmp_path / part
        searcher = finetune(
            run, out, queries=queries, progress=QUIET, rescore=False, **QUICK, encoder=part, top_layers=1
        )
        again = load_retriever(out)
        assert isinstance(searcher, GenerativeRetriever)
        assert isinstance(again, GenerativeRetriever)
        assert {p.dtype for p in again.model.backbone.pretrained()} == {dtype}
        assert searcher.search(["the rose", "pan"], k=5) == again.search(["the rose", "pan"], k=5)


@pytest.mark.parametrize(
    "settings",
    [
        {"indexer": "lmindexer", "backbone": "t5"},
        {"indexer": "lmindexer", "backbone": "qwen2", "encoder": "top"},
        {"indexer": "rq-kmeans", "backbone": "bert", "embeddings": "simcse"},
    ],
)
def test_what_learns_is_not_held_in_bfloat16(
    settings: dict[str, str], checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    given = settings | {"backbone": str(checkpoints[settings["backbone"]]), "backbone_dtype": "bf16"}
    with pytest.raises(InputError, match="backbone_dtype bf16 is for what does not learn"):
        learn(few, tmp_path / "run", **given)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("name", CAUSAL)
def test_ids_of_any_indexer_are_taught_to_a_causal_model(
    name: str, checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    """As one stack where it learns; as an encoder where its vectors of items are read once."""
    run = learn(few, tmp_path / "run", indexer="rq-kmeans", sizes=(4, 3), embeddings=str(checkpoints[name]))
    queries = write_queries(tmp_path / "queries.jsonl")
    searcher = finetune(run, tmp_path / "search", queries=queries, progress=QUIET, rescore=False, **QUICK)
    assert isinstance(searcher, GenerativeRetriever)
    assert searcher.model.backbone.is_one_stack
    again = load_retriever(tmp_path / "search")
    assert isinstance(again, GenerativeRetriever)
    assert searcher.search(["the rose", "pan"], k=5) == again.search(["the rose", "pan"], k=5)
    sequences = write_sequences(tmp_path / "sequences.txt", few)
    finetune(run, tmp_path / "recommend", sequences=sequences, progress=QUIET, task="recommend", **QUICK)
    assert not load(tmp_path / "recommend").model.backbone.is_one_stack


@pytest.mark.parametrize("encoder", ["top", "full"])
def test_in_the_warm_up_a_causal_model_learns_as_much_as_after_it(
    encoder: str, checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    run = learn(few, tmp_path / "run", indexer="rq-kmeans", sizes=(4, 3), embeddings=str(checkpoints["llama"]))
    finetuned = begin_model(Run.open(run), FinetuneConfig(encoder=encoder, top_layers=1, device="cpu"))
    learning = []
    for freeze in (freeze_encoder, freeze_what_reads):
        freeze(finetuned)
        learning.append({name for name, p in finetuned.model.backbone.named_parameters() if p.requires_grad})
    assert learning[0] == learning[1]
    assert len(learning[0]) > 5


@pytest.mark.parametrize("encoder", ["frozen", "top", "full"])
def test_the_papers_backbone_from_the_command_line(
    encoder: str, checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    items = write_items(few, tmp_path / "items.jsonl")
    backbone = ("--backbone", checkpoints["t5"], "--encoder", encoder, "--quiet")
    answer = lmindexer("learn", items, "--out", tmp_path / "run", *backbone, *SMALL)
    assert answer.code == 0, answer.err
    assert lmindexer("search", tmp_path / "run", "rose").out


def shares(model: nn.Module) -> set[float]:
    """What the pretrained layers drop out."""
    return {module.p for module in model.modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("name", ["t5", "bert"])
def test_dropout_as_set_reaches_the_pretrained_layers(
    name: str, checkpoints: dict[str, Path], few: Corpus, tmp_path: Path
):
    whole = {"backbone": str(checkpoints[name]), "encoder": "full", "sizes": (4, 3), "dropout": 0.25}
    run = learn(few, tmp_path / "run", indexer="lmindexer", **whole)
    indexer = LMIndexer.load(run).model
    assert indexer is not None
    assert shares(indexer.backbone.model) == {0.25}
    begun = begin_model(Run.open(run), FinetuneConfig(encoder="full", dropout=0.1, device="cpu"))
    assert shares(begun.model.backbone.model) == {0.1}
    settings = QUICK | {"encoder": "full", "dropout": 0.05, "epochs": 1}
    searcher = finetune(
        run, tmp_path / "tuned", queries=write_queries(tmp_path / "q.jsonl"), progress=QUIET, rescore=False, **settings
    )
    assert isinstance(searcher, GenerativeRetriever)
    assert shares(searcher.model.backbone.model) == {0.05}
    if name == "bert":
        two_step = {name: value for name, value in whole.items() if name != "encoder"}
        simcse = TwoStepIndexer(indexer="rq-kmeans", embeddings="simcse", device="cpu", **two_step)
        simcse.fit(few, tmp_path / "simcse", progress=QUIET)
        assert simcse.encoder is not None
        assert shares(simcse.encoder.model) == {0.25}
