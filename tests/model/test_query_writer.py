"""A tiny random model writes: as many as asked, the same for the same seed, and each text by itself."""

import io
from pathlib import Path

import pytest
import torch

from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.model.query_writer import WRITES, QueryWriter, load_query_writer
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
