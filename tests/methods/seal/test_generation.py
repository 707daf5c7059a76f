"""Generated n-grams: all of them occur, each is as likely as the model says, and none is missed by a wide beam."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.methods.seal.generation import Ngrams, generate
from lmindexer.methods.seal.index import END, NgramIndex
from lmindexer.methods.seal.writer import NgramWriter
from lmindexer.model.backbone import EncoderBackbone, Memory, load_backbone

LENGTH = 4
KINDS = [("bert", "full"), ("t5", "full"), ("mt5", "full"), ("bart", "full"), ("pair", "full"), ("qwen2", "full"),
         ("qwen2", "frozen")]  # fmt: skip
Asked = tuple[NgramWriter, NgramIndex, Memory]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def asked(request: pytest.FixtureRequest, checkpoints: dict[str, Path], corpus: Corpus) -> Asked:
    """A model of every kind, the index of twelve documents, and two questions."""
    name, encoder = request.param
    torch.manual_seed(0)
    backbone = load_backbone(str(checkpoints[name]), encoder=encoder)
    writer = NgramWriter(backbone, LENGTH).eval()
    index = NgramIndex.of(Corpus.from_documents(corpus[row] for row in range(12)), backbone)
    ids = backbone.tokenize(["a rose in old soil", "thunder"], 16)
    padded = torch.full((2, max(map(len, ids))), backbone.pad_id)
    mask = torch.zeros_like(padded, dtype=torch.bool)
    for n, tokens in enumerate(ids):
        padded[n, : len(tokens)] = torch.tensor(tokens)
        mask[n, : len(tokens)] = True
    with torch.no_grad():
        return writer, index, backbone.remember(padded, mask)


def log_p_of(asked: Asked, question: int, ngram: list[int]) -> float:
    """log P of token numbers by the model as it is taught: all positions at once."""
    writer, index, memory = asked
    token_ids = torch.from_numpy(index.token_ids)
    vectors, bias = writer.token_vectors(token_ids)
    with torch.no_grad():
        states = writer.states(
            memory.rows(slice(question, question + 1)), token_ids[torch.tensor([ngram[:-1]]).long() - 1]
        )
        scores = (writer.directions(states) @ vectors.T + bias).log_softmax(2)[0]
    return sum(float(scores[place, number - 1]) for place, number in enumerate(ngram))


def distinct(index: NgramIndex, length: int) -> set[tuple[int, ...]]:
    spans = index.spans(np.arange(len(index.text)), length)
    return {tuple(span) for span in spans[(spans != END).all(1)].tolist()}


def as_tuples(ngrams: Ngrams) -> list[tuple[int, ...]]:
    return [tuple(row[row != END].tolist()) for row in ngrams.tokens]


def test_every_ngram_occurs_and_is_as_likely_as_the_model_says(asked: Asked):
    index = asked[1]
    for question, ngrams in enumerate(generate(*asked, LENGTH, beams=3, unigrams=7)):
        found = as_tuples(ngrams)
        assert 7 < len(set(found)) == len(found) <= 7 + 3 * (LENGTH - 1)
        assert ngrams.length.tolist() == [len(ngram) for ngram in found]
        for n, ngram in enumerate(found):
            assert index.interval(np.array(ngram)) == (ngrams.low[n], ngrams.high[n])
            assert ngrams.high[n] > ngrams.low[n], "no n-gram is generated that no document holds"
            assert ngrams.log_p[n] == pytest.approx(log_p_of(asked, question, list(ngram)), abs=1e-3)


def test_a_wide_beam_finds_all_there_are(asked: Asked):
    index = asked[1]
    every = set().union(*(distinct(index, length) for length in range(1, LENGTH + 1)))
    for ngrams in generate(*asked, LENGTH, beams=len(every), unigrams=0):
        assert set(as_tuples(ngrams)) == every
        continued = {ngram[:-1] for ngram in every}
        assert {ngram for ngram, whole in zip(as_tuples(ngrams), ngrams.whole, strict=True) if whole} == {
            ngram for ngram in every if ngram not in continued
        }


def test_the_likeliest_are_kept(asked: Asked):
    (ngrams, _), (wide, _) = (
        generate(*asked, 1, beams=beams, unigrams=unigrams) for beams, unigrams in ((2, 5), (99, 0))
    )
    assert as_tuples(ngrams) == [as_tuples(wide)[n] for n in np.argsort(-wide.log_p, kind="stable")[[2, 3, 4, 0, 1]]]
    assert ngrams.whole.all()


def test_a_beam_goes_on_with_the_likeliest(asked: Asked):
    index = asked[1]
    pairs = distinct(index, 2)
    (narrow, _), (wide, _) = (generate(*asked, 2, beams=beams, unigrams=0) for beams in (3, len(pairs) + 99))
    log_p = dict(zip(as_tuples(wide), wide.log_p.tolist(), strict=True))
    first = sorted((ngram for ngram in log_p if len(ngram) == 1), key=lambda ngram: -log_p[ngram])[:3]
    second = sorted((ngram for ngram in pairs if ngram[:1] in first), key=lambda ngram: -log_p[ngram])[:3]
    assert as_tuples(narrow) == [*first, *second]


def test_documents_without_a_token_have_no_ngram(asked: Asked):
    writer, _, memory = asked
    index = NgramIndex.build(Tokens.of([[0], []]), np.ones(1, bool))
    assert [len(ngrams) for ngrams in generate(writer, index, memory, LENGTH, beams=3, unigrams=7)] == [0, 0]


def test_a_published_model_writes_as_it_was_published(asked: Asked):
    writer, index, memory = asked
    model = writer.backbone.model
    if model.config.model_type not in ("t5", "mt5", "bart"):
        pytest.skip("it has a head of ours")
    token_ids = torch.from_numpy(index.token_ids)
    prefix = token_ids[:6].view(2, 3)
    start = torch.full((2, 1), model.generation_config.decoder_start_token_id)
    vectors, bias = writer.token_vectors(token_ids)
    with torch.no_grad():
        ours = writer.directions(writer.states(memory, prefix)) @ vectors.T + bias
        theirs = model(
            encoder_outputs=(memory.states,),
            attention_mask=memory.mask,
            decoder_input_ids=torch.cat([start, prefix], 1),
        ).logits[:, :, token_ids]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_mean_of_all_tokens(asked: Asked):
    writer, index, memory = asked
    ngrams = torch.tensor([[1, 2, 3, 4], [5, 6, END, END]])
    with torch.no_grad():
        loss = writer.loss(memory, ngrams, torch.tensor([1.0, 0.5]), torch.from_numpy(index.token_ids))
    nats = -log_p_of(asked, 0, [1, 2, 3, 4]) - 0.5 * log_p_of(asked, 1, [5, 6])
    assert loss.item() == pytest.approx(nats / (4 + 0.5 * 2), rel=1e-4)
    nothing = writer.loss(memory, torch.zeros_like(ngrams), torch.ones(2), torch.from_numpy(index.token_ids))
    assert nothing.item() == 0, "where no pair has an n-gram"


def test_it_begins_with_the_frequencies_of_tokens(asked: Asked):
    writer, index, _ = asked
    if not hasattr(writer, "bias"):
        pytest.skip("a published head stays as it is")
    before = writer.bias.detach().clone()
    writer.start_from_frequencies(index)
    shares = writer.bias.detach().exp()
    assert shares.sum().item() == pytest.approx(1)
    common, rare = (index.token_ids[np.diff(index.bounds) == count][0] for count in (np.diff(index.bounds).max(), 1))
    assert shares[common] / shares[rare] == pytest.approx((np.diff(index.bounds).max() + 1) / 2)
    with torch.no_grad():
        writer.bias.copy_(before)


def test_the_small_decoder_is_at_the_last_token(asked: Asked):
    """It sums up what it is given: the sum is the vector of the last token and of its place."""
    writer = asked[0]
    if not isinstance(writer.backbone, EncoderBackbone):
        pytest.skip("another decoder")
    prefix = torch.tensor([[7, 8, 9]])
    sums = writer.inputs(prefix).cumsum(1)[0]
    vectors = writer.backbone.vocabulary[prefix[0]]
    expected = vectors / vectors.square().mean(1, keepdim=True).sqrt() + writer.places[1:4]
    torch.testing.assert_close(sums[1:], expected, rtol=1e-4, atol=1e-4)
