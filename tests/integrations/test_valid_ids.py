"""IDs as tokens: what is exported, and a model that can give no other."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from command_line import lmindexer
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.ids.trie import Trie
from lmindexer.indexers.store import load_ids
from lmindexer.integrations.tokens import TRIE, load_trie, save_trie, token_names
from lmindexer.integrations.transformers import ValidIds
from lmindexer.runs import Run
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_queries, write_sequences

PATHS = np.array([[0, 1, 0], [0, 1, 1], [0, 3, 0], [2, 0, 0], [2, 0, 2]])
SIZES = (3, 4, 3)


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(corpus, tmp_path_factory.mktemp("tokens") / "run")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tokens_of_a_run(run: Path, corpus: Corpus, tmp_path: Path):
    out = tmp_path / "tokens"
    answer = lmindexer("export", run, "--format", "tokens", "--out", out)
    assert (answer.code, f"80 lines in {out / 'ids.jsonl'}" in answer.err) == (0, True)
    ids = load_ids(Run.open(run))
    expected = {doc_id: "<a_{}><b_{}><c_{}>".format(*ids[doc_id]) for doc_id in ids}
    assert {line["id"]: line["tokens"] for line in lines(out / "ids.jsonl")} == expected
    pairs = [(line["prompt"], line["completion"]) for line in lines(out / "documents.jsonl")]
    assert pairs == list(zip(corpus.texts(), expected.values(), strict=True))
    tokens = json.loads((out / "tokens.json").read_text())
    assert tokens == [*chain(*token_names((6, 4, int(ids.suffix.max()) + 1)))]
    assert {path.name for path in out.iterdir()} == {"ids.jsonl", "documents.jsonl", "tokens.json", TRIE}
    again = lmindexer("export", run, "--format", "tokens", "--out", out)
    assert again.code == 0
    (tmp_path / "other").mkdir()
    refused = lmindexer("export", run, "--format", "tokens", "--out", tmp_path / "other")
    assert (refused.code, "was not written by lmindexer export" in refused.err) == (2, True)
    assert "name it with --out" in lmindexer("export", run, "--format", "tokens").err


def test_pairs_of_what_a_run_was_taught(run: Path, corpus: Corpus, tmp_path: Path):
    ids = load_ids(Run.open(run))
    tokens = {doc_id: "<a_{}><b_{}><c_{}>".format(*ids[doc_id]) for doc_id in ids}
    finetune(run, tmp_path / "search", queries=write_queries(tmp_path / "q.jsonl"), **QUICK, progress=QUIET)
    taken = write_sequences(tmp_path / "taken.txt", corpus)
    finetune(run, tmp_path / "rec", sequences=taken, method="sasrec", epochs=1, device="cpu", progress=QUIET)
    for name in ("search", "rec"):
        assert (
            lmindexer("export", tmp_path / name, "--format", "tokens", "--out", tmp_path / f"{name}-tokens").code == 0
        )
    queries = lines(tmp_path / "search-tokens" / "queries.jsonl")
    assert len(queries) == 16  # of training alone
    assert {"prompt": "the rose", "completion": tokens["doc0"]} in queries
    assert not [query for query in queries if query["prompt"] == "rose the"]
    items = taken.read_text().splitlines()[0].split()[1:]
    histories = lines(tmp_path / "rec-tokens" / "histories.jsonl")
    assert histories[:3] == [
        {"prompt": "".join(tokens[item] for item in items[:n]), "completion": tokens[items[n]]} for n in (1, 2, 3)
    ]
    assert len(histories) == 3 * len(corpus)  # dev and test items are left out


def test_the_trie_by_hand(tmp_path: Path):
    save_trie(Trie.of(PATHS, SIZES), tmp_path / TRIE)
    sizes, levels = load_trie(tmp_path / TRIE)
    assert sizes == SIZES
    assert [level.code.tolist() for level in levels] == [[0, 2], [1, 3, 0], [0, 1, 0, 0, 2]]
    assert [level.start.tolist() for level in levels] == [[0, 2], [0, 2, 3], [0, 2, 3, 5]]
    (tmp_path / TRIE).write_bytes(b"no trie")
    with pytest.raises(InputError, match="is no trie that lmindexer exported"):
        load_trie(tmp_path / TRIE)


def with_tokens(checkpoint: Path, kind: Any) -> tuple[Any, Any]:
    """A tiny model and its tokenizer, with the tokens of SIZES."""
    tokenizer = hf.AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.add_tokens([name for names in token_names(SIZES) for name in names])
    torch.manual_seed(0)
    model = kind.from_pretrained(checkpoint, dtype=torch.float32)
    model.resize_token_embeddings(len(tokenizer))
    return model.eval(), tokenizer


@pytest.fixture(
    params=[("qwen2", hf.AutoModelForCausalLM), ("t5", hf.AutoModelForSeq2SeqLM)], ids=["causal", "seq2seq"]
)
def model(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> tuple[Any, Any]:
    name, kind = request.param
    return with_tokens(checkpoints[name], kind)


def generated(model: tuple[Any, Any], folder: Path, queries: int, **how: Any) -> list[str]:
    network, tokenizer = model
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    texts = ["a rose in soil", "drum"] * (queries // 2)
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    prompt = 1 if network.config.is_encoder_decoder else inputs.input_ids.shape[1]
    valid = ValidIds(folder, tokenizer, prompt)
    found = network.generate(
        input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=5, min_new_tokens=0,
        logits_processor=hf.LogitsProcessorList([valid]), pad_token_id=tokenizer.pad_token_id, **how,
    )  # fmt: skip
    return tokenizer.batch_decode(found[:, prompt:], skip_special_tokens=True)


def names_of_paths() -> set[str]:
    return {"<a_{}><b_{}><c_{}>".format(*path) for path in PATHS.tolist()}


def test_a_model_gives_ids_that_exist_and_no_other(model: tuple[Any, Any], tmp_path: Path):
    save_trie(Trie.of(PATHS, SIZES), tmp_path / TRIE)
    sampled = generated(model, tmp_path, 100, do_sample=True, num_beams=1, temperature=5.0)
    assert {text.replace(" ", "") for text in sampled} == names_of_paths()
    beams = generated(model, tmp_path, 2, num_beams=5, num_return_sequences=5, do_sample=False)
    assert {text.replace(" ", "") for text in beams[:5]} == names_of_paths()  # as many beams as IDs find all


@pytest.mark.slow
def test_a_hundred_thousand_are_all_valid(checkpoints: dict[str, Path], tmp_path: Path):
    save_trie(Trie.of(PATHS, SIZES), tmp_path / TRIE)
    model = with_tokens(checkpoints["qwen2"], hf.AutoModelForCausalLM)
    for _ in range(100):
        found = generated(model, tmp_path, 1000, do_sample=True, num_beams=1, temperature=5.0)
        assert {text.replace(" ", "") for text in found} <= names_of_paths()


def test_the_scores_of_what_exists_stay(model: tuple[Any, Any], tmp_path: Path):
    """As with prefix_allowed_tokens_fn: the same tokens are masked, at every prefix and off the tree."""
    save_trie(Trie.of(PATHS, SIZES), tmp_path / TRIE)
    _, tokenizer = model
    vocabulary = tokenizer.get_vocab()
    names = token_names(SIZES)
    valid = ValidIds(tmp_path, tokenizer, prompt=2)
    width = len(tokenizer) + 3
    for prefix, following in (
        ([], {"<a_0>", "<a_2>"}), ([0], {"<b_1>", "<b_3>"}), ([0, 1], {"<c_0>", "<c_1>"}), ([2, 0], {"<c_0>", "<c_2>"}),
        ([0, 0], {tokenizer.eos_token}), ([2, 0, 2], {tokenizer.eos_token}),
    ):  # fmt: skip
        written = [vocabulary[names[t][code]] for t, code in enumerate(prefix)]
        scores = torch.randn(1, width)
        masked = valid(torch.tensor([[5, 6, *written]]), scores)[0]
        allowed = [vocabulary[name] for name in following]
        assert masked.isfinite().nonzero()[:, 0].tolist() == sorted(allowed)
        assert torch.equal(masked[allowed], scores[0, allowed])


def test_a_tokenizer_that_lacks_tokens_is_told(checkpoints: dict[str, Path], tmp_path: Path):
    save_trie(Trie.of(PATHS, SIZES), tmp_path / TRIE)
    tokenizer = hf.AutoTokenizer.from_pretrained(checkpoints["qwen2"])
    with pytest.raises(InputError, match=r"the tokenizer has no token <a_0>; add those of tokens\.json"):
        ValidIds(tmp_path, tokenizer, prompt=1)
