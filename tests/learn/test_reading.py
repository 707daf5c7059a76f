"""What an encoder does not see of documents, counted by hand and told; documents read in pieces."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.learn import simcse
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import MULTILINGUAL, Unseen, read_documents, unknown_id
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.progress import Progress
from lmindexer.training import Stage

TOPIC = "knife pan oven kettle spoon grill plate recipe rose soil shovel hedge lawn seed"


@pytest.fixture
def backbone(checkpoints: dict[str, Path]) -> Backbone:
    """Words of the corpus are one token or two, others [UNK]; every text ends in </s>."""
    return load_backbone(str(checkpoints["bert"])).eval()


def corpus_of(*texts: str) -> Corpus:
    return Corpus.from_documents(Document(str(n), text) for n, text in enumerate(texts))


def unseen_of(backbone: Backbone, *texts: str, max_tokens: int = 32, long: str = "cut") -> Unseen:
    return read_documents(corpus_of(*texts), backbone, max_tokens, long)[1]


def test_what_is_all_seen_needs_no_word(backbone: Backbone):
    unseen = unseen_of(backbone, "rose soil", "anchor", "violin drum")
    assert (unseen.documents, unseen.texts, unseen.readings, unseen.unknown_tokens) == (3, 3, 3, 0)
    assert unseen.notes(LearnConfig()) == []


def test_unknown_tokens_by_hand(backbone: Backbone):
    unseen = unseen_of(backbone, "洗 发", "护 发", "鞋", "rose 洗 the", "the")
    assert unseen.unknown_tokens == 6
    assert unseen.tokens == 6 + len(backbone.tokenizer("rose the the", add_special_tokens=False)["input_ids"])
    assert unseen.mostly_unknown == 3
    assert (unseen.whole_texts, unseen.looks) == (5, 4)
    (note,) = unseen.notes(LearnConfig())
    share = f"{6 / unseen.tokens:.0%}"
    assert note == (
        f"{share} of the tokens are unknown to the tokenizer of bundled (at least half in 3 of 5 documents), and 5 "
        f"different texts look like 4 to it; to see more, learn with a model that knows the language, such as "
        f"--backbone {MULTILINGUAL}"
    )
    (note,) = unseen.notes(LearnConfig(indexer="hc", embeddings="x/y"), learned=True)
    assert "tokenizer of x/y" in note
    assert note.endswith(f"learn anew with a model that knows the language, such as --embeddings {MULTILINGUAL}")
    (note,) = unseen.notes(LearnConfig(indexer="hc", embeddings="simcse"))
    assert f"--backbone {MULTILINGUAL}" in note


def test_half_unknown_is_mostly_unknown(backbone: Backbone):
    words = backbone.tokenizer("the a old new with and", add_special_tokens=False)["input_ids"]
    texts = [" ".join(["洗"] * count + ["the a old new with and"]) for count in (len(words) - 1, len(words))]
    assert unseen_of(backbone, *texts, max_tokens=64).mostly_unknown == 1


def test_a_few_unknown_tokens_are_no_note_but_a_document_of_them_is(backbone: Backbone):
    long = " ".join(["rose"] * 30)
    assert unseen_of(backbone, f"{long} 洗", f"{long} soil", max_tokens=64).notes(LearnConfig()) == []
    (note,) = unseen_of(backbone, f"{long} soil", f"{long} pan", "洗", max_tokens=64).notes(LearnConfig())
    assert "(at least half in 1 of 3 documents)" in note


def test_a_tokenizer_that_uses_its_unknown_token_otherwise_has_none(backbone: Backbone):
    assert unknown_id(backbone) == backbone.tokenizer.unk_token_id
    backbone.tokenizer.unk_token = backbone.tokenizer.eos_token
    assert unknown_id(backbone) is None


def test_texts_that_look_alike_without_unknown_tokens_are_told(checkpoints: dict[str, Path]):
    backbone = load_backbone("bundled")
    (note,) = unseen_of(backbone, "Red Kite", "red kite", "a rose").notes(LearnConfig())
    assert note == (
        "the tokenizer of bundled does not tell case, or some signs, apart: 3 different texts look like 2 to it, which "
        "get the same codes"
    )


def test_equal_texts_by_hand(backbone: Backbone):
    unseen = unseen_of(backbone, "rose", "rose", "pan", "rose", "pan", "soil")
    assert (unseen.same_text, unseen.texts, unseen.readings) == (5, 3, 3)
    (note,) = unseen.notes(LearnConfig())
    assert note.startswith("5 of 6 documents have a text that another has, too (3 different texts in all); they get")


def test_cut_texts_by_hand(backbone: Backbone):
    """Of 8 tokens one ends the text."""
    banner = "a the a the a the a"
    texts = f"{banner} rose", f"{banner} pan pan", f"{banner} pan pan", "soil", banner
    unseen = unseen_of(backbone, *texts, max_tokens=8)
    beyond = [len(backbone.tokenizer(text, add_special_tokens=False)["input_ids"]) - 7 for text in texts[:3]]
    assert unseen.longer == 3
    assert unseen.unread_tokens == sum(beyond)
    assert unseen.same_when_cut == 4  # the banner alone is not cut and looks the same
    assert (unseen.readings, unseen.whole_texts, unseen.looks) == (2, 1, 1)
    same, cut = unseen.notes(LearnConfig())
    assert same.startswith("2 of 5 documents have a text that another has")
    share = f"{sum(beyond) / unseen.tokens:.0%}"
    assert cut == (
        f"3 of 5 documents (60%) are longer than --max-tokens 8 and cut there: {share} of all tokens are not read, "
        "and 4 look like another with a different text; to read more, learn with a larger "
        "--max-tokens (its model reads 64), or with --long pool, which reads all"
    )


def test_texts_that_differ_before_the_cut_are_not_alike(backbone: Backbone):
    unseen = unseen_of(backbone, TOPIC, f"soil {TOPIC}", "rose", max_tokens=8)
    assert (unseen.longer, unseen.same_when_cut) == (2, 0)


def test_the_way_out_of_a_cut_is_one_that_there_is(backbone: Backbone, checkpoints: dict[str, Path]):
    long = " ".join(["the"] * 200)
    (note,) = unseen_of(backbone, long, "rose", max_tokens=8).notes(LearnConfig(encoder="full"))
    assert note.endswith("to read more, learn with a larger --max-tokens (its model reads 64)")
    (note,) = unseen_of(backbone, long, "rose", max_tokens=500).notes(LearnConfig())
    assert note.startswith("1 of 2 documents (50%) is longer than the 64 tokens that its model reads and cut there: ")
    assert note.endswith("to read more, learn with --long pool, which reads all")
    t5 = load_backbone(str(checkpoints["t5"]))
    (note,) = unseen_of(t5, long, "rose", max_tokens=8).notes(LearnConfig())
    assert "learn with a larger --max-tokens, or with --long pool" in note
    assert unseen_of(backbone, long, "rose", max_tokens=8, long="pool").notes(LearnConfig()) == []


def test_what_is_read_in_pieces_is_all_seen(backbone: Backbone):
    banner = "a the a the a the a"
    unseen = unseen_of(backbone, f"{banner} rose", f"{banner} pan", max_tokens=8, long="pool")
    assert (unseen.longer, unseen.unread_tokens, unseen.same_when_cut, unseen.readings) == (2, 0, 0, 2)
    assert (unseen.whole_texts, unseen.looks) == (2, 2)


@pytest.mark.parametrize("name", ["bundled", "t5", "bart", "bert"])
def test_pieces_hold_the_whole_text_and_begin_as_it_does_when_cut(name: str, checkpoints: dict[str, Path]):
    backbone = load_backbone(str(checkpoints.get(name, name)))
    texts = [TOPIC, "rose", TOPIC + " " + TOPIC]
    pieces = backbone.texts.pieces(texts, 7)
    assert [parts[0] for parts in pieces] == backbone.tokenize(texts, 7)
    special = set(backbone.tokenizer.all_special_ids)
    for text, parts in zip(texts, pieces, strict=True):
        whole = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [token for part in parts for token in part if token not in special] == whole
        assert max(map(len, parts)) <= 7
        ends = {tuple(token for token in part if token in special) for part in parts}
        assert len(ends) == 1


def test_pieces_of_a_tokenizer_in_plain_python(backbone: Backbone):
    from transformers import ByT5Tokenizer

    texts = type(backbone.texts)(ByT5Tokenizer(), longest=512, rows=384)
    assert not texts.tokenizer.is_fast
    for parts, cut in zip(texts.pieces(["abcdefgh", "", "a"], 4), texts.cut(["abcdefgh", "", "a"], 4), strict=True):
        assert parts[0] == cut
    assert texts.pieces(["abcdefgh"], 4) == [[[100, 101, 102, 1], [103, 104, 105, 1], [106, 107, 1]]]


def test_no_room_for_text_is_refused(backbone: Backbone):
    with pytest.raises(InputError, match="max_tokens 1 leaves no room for text, as the tokenizer puts 1 tokens around"):
        backbone.texts.pieces(["rose"], 1)
    assert backbone.texts.room(2) == 1


def test_a_memory_of_pieces_is_of_states_read_piece_by_piece(backbone: Backbone):
    """State i is what the encoder says of token i beside the others of its piece; those kept are evenly spaced."""
    texts = [TOPIC, "rose", f"{TOPIC} {TOPIC}"]
    tokens, _ = read_documents(corpus_of(*texts), backbone, 8, "pool")
    memories = Memories(backbone, tokens, bf16=False)
    pieces = backbone.texts.pieces(texts, 8)
    rows = np.array([2, 0, 1])
    ids, mask = memories.tokens(rows)
    memory = memories.memory(rows)
    backbone.freeze("frozen", 0)
    filled = Memories(backbone, tokens, bf16=False)
    filled.fill(Progress(None))
    for n, row in enumerate(rows):
        flat = [token for piece in pieces[row] for token in piece]
        states = torch.cat([backbone.frozen_states(torch.tensor([p]), torch.ones(1, len(p)))[0] for p in pieces[row]])
        count = min(len(flat), 8)
        kept = [len(flat) * i // count for i in range(count)]
        assert ids[n][mask[n]].tolist() == [flat[i] for i in kept]
        torch.testing.assert_close(memory.states[n][mask[n]], states[kept], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(filled.memory(rows).states[n][mask[n]], states[kept], atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(memory.weight[n], filled.memory(rows).weight[n])
    assert mask.sum(1).tolist() == [8, 8, len(pieces[1][0])]


def test_pieces_read_a_few_at_a_time_are_the_same(backbone: Backbone, monkeypatch: pytest.MonkeyPatch):
    tokens, _ = read_documents(corpus_of(TOPIC, "rose", TOPIC + " pan"), backbone, 4, "pool")
    rows = np.arange(3)
    whole = Memories(backbone, tokens, bf16=False).memory(rows).states
    monkeypatch.setattr("lmindexer.learn.memories.PIECES", 2)
    torch.testing.assert_close(Memories(backbone, tokens, bf16=False).memory(rows).states, whole)


def test_an_embedding_of_pieces_is_their_mean_by_tokens(backbone: Backbone):
    texts = [TOPIC, "rose"]
    tokens, _ = read_documents(corpus_of(*texts), backbone, 8, "pool")
    assert tokens.read == sum(len(piece) for parts in backbone.texts.pieces(texts, 8) for piece in parts)
    vectors = Memories(backbone, tokens, bf16=False).embeddings().float()
    for n, parts in enumerate(backbone.texts.pieces(texts, 8)):
        with torch.no_grad():
            of_each = [backbone.encoder(torch.tensor([p])).last_hidden_state[0].mean(0) * len(p) for p in parts]
        expected = torch.stack(of_each).sum(0) / sum(map(len, parts))
        torch.testing.assert_close(vectors[n], expected, atol=5e-3, rtol=5e-3)


def test_simcse_takes_each_piece_for_a_text(backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stages: list[Stage] = []
    monkeypatch.setattr(simcse.Trainer, "run", lambda trainer, stage: stages.append(stage))
    tokens, _ = read_documents(corpus_of(TOPIC, "rose"), backbone, 8, "pool")
    memories = Memories(backbone, tokens, bf16=False)
    simcse.train_simcse(memories, LearnConfig(), tmp_path, False, Progress(None))
    (stage,) = stages
    rows = np.concatenate(stage.batches(np.random.default_rng(0)))
    assert sorted(rows.tolist()) == list(range(sum(map(len, backbone.texts.pieces([TOPIC, "rose"], 8)))))


def test_short_documents_are_read_the_same_either_way(corpus: Corpus, backbone: Backbone):
    cut, _ = read_documents(corpus, backbone, 64)
    pool, _ = read_documents(corpus, backbone, 64, "pool")
    assert np.array_equal(cut.ids, pool.ids)
    assert np.array_equal(cut.offsets, pool.offsets)
    vectors = [Memories(backbone, tokens, bf16=False).embeddings() for tokens in (cut, pool)]
    assert torch.equal(*vectors)
