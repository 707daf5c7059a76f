"""A tiny random model writes: as many as asked, the same for the same seed, and each text by itself."""

import io
import math
from pathlib import Path

import pytest
import torch

from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.model.query_writer import WRITES, QueryWriter, draw, load_query_writer
from lmindexer.progress import Progress


@pytest.fixture(scope="module", params=["t5", "mt5", "bart"])
def writer(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> QueryWriter:
    return load_query_writer(str(checkpoints[request.param]), "cpu")


def test_as_many_queries_as_asked(writer: QueryWriter, corpus: Corpus):
    found = writer.write(corpus.texts(range(9)), 4, batch_size=4)
    assert len(found) == 9
    assert max(map(len, found)) == 4
    for queries in found:
        assert len(set(queries)) == len(queries)
        assert all(query == " ".join(query.split()) != "" for query in queries)


def test_the_same_seed_writes_the_same_and_leaves_torch_as_it_was(writer: QueryWriter, corpus: Corpus):
    texts = corpus.texts(range(6))
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = writer.write(texts, 2, WritingConfig(seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert writer.write(texts, 2, WritingConfig(seed=1)) == first
    assert writer.write(texts, 2, WritingConfig(seed=2)) != first


def test_queries_stay_with_their_texts(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    """Texts are sorted by length and padded; a model that repeats what it reads shows which query is whose."""
    writer = load_query_writer(str(checkpoints["t5"]), "cpu")

    def echo(input_ids: torch.Tensor, num_return_sequences: int, **_: object) -> torch.Tensor:
        return input_ids.repeat_interleave(num_return_sequences, 0)

    monkeypatch.setattr(writer.backbone.model, "generate", echo)
    texts = ["rose", "the old rose and the new storm", "a storm", "", "rose and storm", "storm"]
    assert writer.write(texts, 2, batch_size=4) == [[text] if text else [] for text in texts]
    assert writer.write([]) == []


def test_only_the_ten_likeliest_tokens_are_drawn_and_not_too_many(
    checkpoints: dict[str, Path], corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    writer = load_query_writer(str(checkpoints["t5"]), "cpu")
    model, tokenizer = writer.backbone.model, writer.backbone.tokenizer
    ids = tokenizer([corpus[0].text], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        start = torch.tensor([[model.config.decoder_start_token_id]])
        logits = model(input_ids=ids, decoder_input_ids=start).logits[0, -1]
        likely = logits[: len(tokenizer)].topk(10).indices  # the rows behind stand for no token
        assert len(tokenizer) < len(logits)
    drawn: list[torch.Tensor] = []
    generate = model.generate

    def seen(**how: object) -> torch.Tensor:
        drawn.append(generate(**how))
        return drawn[-1]

    monkeypatch.setattr(model, "generate", seen)
    writer.write([corpus[0].text], 300)
    (tokens,) = drawn  # (300, start token and those written)
    assert set(tokens[:, 1].tolist()) == set(likely.tolist()), "all of them, and no other"
    assert tokens.shape[1] <= 1 + WRITES


def test_progress_is_told(checkpoints: dict[str, Path], corpus: Corpus):
    stream = io.StringIO()
    writer = load_query_writer(str(checkpoints["t5"]), "cpu")
    writer.write(corpus.texts(range(20)), 1, batch_size=10, progress=Progress(stream))
    assert stream.getvalue().splitlines() == [f"queries of {n} of 20 documents" for n in (10, 20)]


def test_what_cannot_write_is_refused(checkpoints: dict[str, Path], tmp_path: Path):
    with pytest.raises(InputError, match=r"reads and does not write; name a seq2seq model"):
        load_query_writer(str(checkpoints["bert"]), "cpu")
    with pytest.raises(InputError, match=r"goes on from a text and does not write; name a seq2seq model"):
        load_query_writer(str(checkpoints["qwen2"]), "cpu")
    with pytest.raises(InputError, match=r"does not say by which token a text begins"):
        load_query_writer(str(checkpoints["pair"]), "cpu")
    with pytest.raises(InputError, match=r"cannot load the model '.*nowhere'"):
        load_query_writer(str(tmp_path / "nowhere"), "cpu")
    with pytest.raises(InputError, match="no device 'abacus'"):
        load_query_writer(str(checkpoints["t5"]), "abacus")


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_a_row_without_a_token_is_never_written(
    name: str, checkpoints: dict[str, Path], corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    writer = load_query_writer(str(checkpoints[name]), "cpu")
    rows, tokens = len(writer.backbone.vocabulary), len(writer.backbone.tokenizer)
    model = writer.backbone.model
    drawn: list[torch.Tensor] = []
    generate = model.generate

    def seen(**how: object) -> torch.Tensor:
        drawn.append(generate(**how))
        return drawn[-1]

    monkeypatch.setattr(model, "generate", seen)
    writer.write(corpus.texts(range(8)), 20)
    assert rows > tokens
    assert int(torch.cat([part.flatten() for part in drawn]).max()) < tokens


def tokens_of(scores: list[float], how: dict[str, float], numbers: int = 2000) -> dict[int, float]:
    """How often each token is drawn by numbers that lie evenly from 0 to 1."""
    evenly = (torch.arange(numbers) + 0.5) / numbers
    usual = {"top_k": 0, "top_p": 1.0, "temperature": 1.0}
    drawn = draw(torch.tensor([scores]).expand(numbers, -1), evenly, **usual | how)
    return {token: drawn.eq(token).float().mean().item() for token in drawn.unique().tolist()}


@pytest.mark.parametrize(
    ("how", "shares"),
    [
        ({}, {1: 0.5, 3: 0.25, 0: 0.15, 2: 0.1}),
        ({"top_k": 2}, {1: 2 / 3, 3: 1 / 3}),
        ({"top_k": 1}, {1: 1.0}),
        ({"top_k": 9}, {1: 0.5, 3: 0.25, 0: 0.15, 2: 0.1}),
        ({"top_p": 0.76}, {1: 5 / 9, 3: 2.5 / 9, 0: 1.5 / 9}),
        ({"top_p": 0.74}, {1: 2 / 3, 3: 1 / 3}),
        ({"top_p": 0.01}, {1: 1.0}),
        ({"top_k": 2, "top_p": 0.6}, {1: 1.0}),  # of the two, the first has 2/3
        ({"temperature": 0.5, "top_k": 2}, {1: 0.8, 3: 0.2}),  # p^2
    ],
)
def test_a_token_is_drawn_from_the_likeliest_by_hand(how: dict[str, float], shares: dict[int, float]):
    found = tokens_of([math.log(p) for p in (0.15, 0.5, 0.1, 0.25)], how)
    assert found == pytest.approx(shares, abs=2e-3)


def test_what_has_no_probability_is_not_drawn_by_the_highest_number():
    scores = torch.tensor([[0.5, -math.inf, 0.0]])
    assert draw(scores, torch.tensor([1.0]), 0, 1.0, 1.0).tolist() == [2]
    assert draw(scores, torch.tensor([1.0]), 0, 0.4, 1.0).tolist() == [0]


def test_top_1_is_greedy_and_beams_are_other_queries(writer: QueryWriter, corpus: Corpus):
    texts = corpus.texts(range(5))
    greedy = writer.write(texts, 3, WritingConfig(beams=1))
    assert writer.write(texts, 3, WritingConfig(top_k=1)) == greedy
    assert max(map(len, greedy)) == 1
    beams = writer.write(texts, 4, WritingConfig(beams=3))
    assert max(map(len, beams)) == 3, "no more than beams"
    assert writer.write(texts, 4, WritingConfig(beams=3, seed=5)) == beams


def test_a_text_draws_by_itself(writer: QueryWriter):
    """Texts of one length, so that the same is computed of each whoever stands beside it."""
    texts = ["the old storm", "the new storm", "the old frost"]
    config = WritingConfig(seed=3, precision="fp32")
    together = writer.write(texts, 2, config)
    assert together != [together[0]] * 3
    assert [writer.write([text], 2, config)[0] for text in texts] == together
    assert writer.write(texts[::-1], 2, config) == together[::-1]


def test_what_is_done_is_not_written_again(writer: QueryWriter, corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    texts = corpus.texts(range(7))
    batches: list[dict[int, list[str]]] = []
    whole = writer.write(texts, 2, batch_size=3, keep=batches.append)
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert {row: queries for batch in batches for row, queries in batch.items()} == dict(enumerate(whole))
    kept: list[dict[int, list[str]]] = []
    assert writer.write(texts, 2, batch_size=3, done=batches[0], keep=kept.append) == whole
    assert kept == batches[1:]
    monkeypatch.setattr(writer.backbone.model, "generate", None)
    assert writer.write(texts, 2, batch_size=3, done=dict(enumerate(whole))) == whole


def test_the_fingerprint_is_of_the_weights(checkpoints: dict[str, Path]):
    writer = load_query_writer(str(checkpoints["t5"]), "cpu")
    before = writer.fingerprint
    assert load_query_writer(str(checkpoints["t5"]), "cpu").fingerprint == before
    with torch.no_grad():
        writer.backbone.model.get_input_embeddings().weight[3, 0] += 1
    assert writer.fingerprint != before


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": 1.5}, "top_p is a share from 0 to 1, not 1.5"),
        ({"sampling_temperature": 0.0}, "sampling_temperature must be above 0"),
        ({"top_k": -1}, "top_k must not be negative"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], told: str):
    with pytest.raises(InputError, match=told):
        WritingConfig(**settings)
