"""Search by generating IDs: wide beams equal scoring every document, and nothing leaves the trie."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import Backbone, EncoderBackbone, Memory, load_backbone
from lmindexer.model.beam import Found, beam_search, exact_search, score_documents
from lmindexer.model.semantic_indexer import SemanticIndexer

BACKBONES = dict[str, Backbone]()  # by checkpoint: loading is slow, and the weights below do not change them


def make_model(checkpoint: Path, sizes: tuple[int, ...], seed: int, sharpness: float = 3.0) -> SemanticIndexer:
    torch.manual_seed(seed)
    if str(checkpoint) not in BACKBONES:
        BACKBONES[str(checkpoint)] = load_backbone(str(checkpoint), encoder="full")
    model = SemanticIndexer(BACKBONES[str(checkpoint)], sizes)
    with torch.no_grad():
        model.start.normal_()
        model.centre.normal_(std=0.1)
        for t in range(1, len(sizes)):
            model.shift(t).normal_(std=0.1)
        for codebook in model.codebooks:
            codebook.weight.normal_(std=sharpness)
        if isinstance(model.backbone, EncoderBackbone):
            for weight in model.backbone.small_decoder.parameters():
                weight.normal_(std=0.2)
    return model.eval()


def make_memory(model: SemanticIndexer, lengths: list[int], seed: int) -> Memory:
    """Queries of random tokens, padded to the longest."""
    torch.manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    tokens = torch.randint(4, len(model.backbone.vocabulary), mask.shape).where(mask, model.backbone.pad_id)
    with torch.no_grad():
        return model.backbone.remember(tokens, mask)


@torch.no_grad()
def brute_force(
    model: SemanticIndexer, memory: Memory, codes: np.ndarray, rows: list[int], renormalise: bool
) -> Tensor:
    """log P of every document of `rows`, one after another, no trie: (B, rows)."""
    paths = {row: codes[row].tolist() for row in rows}
    scores = torch.zeros(len(memory.states), len(rows))
    for column, path in enumerate(paths.values()):
        for t, code in enumerate(path):
            prefix = torch.tensor([path[:t]] * len(scores), dtype=torch.long).view(len(scores), t)
            logits = model.codebooks[t].logits(model(memory, prefix)[:, -1])
            if renormalise:
                allowed = {other[t] for other in paths.values() if other[:t] == path[:t]}
                closed = [c for c in range(model.sizes[t]) if c not in allowed]
                logits[:, closed] = -torch.inf
            scores[:, column] += logits.log_softmax(-1)[:, code]
    return scores


def check(found: Found, scores: Tensor, rows: list[int], k: int) -> None:
    """`found` is the top k of brute-force scores (B, rows)."""
    B, n = len(scores), min(k, len(rows))
    assert found.rows.shape == found.scores.shape == (B, k)
    assert (found.rows[:, n:] == -1).all()
    assert (found.scores[:, n:] == -torch.inf).all()
    torch.testing.assert_close(found.scores[:, :n], scores.topk(n).values, rtol=1e-4, atol=1e-4)
    for b in range(B):
        mine = found.rows[b, :n].tolist()
        assert len(set(mine)) == n
        torch.testing.assert_close(found.scores[b, :n], scores[b, [rows.index(r) for r in mine]], rtol=1e-4, atol=1e-4)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[tuple[int, ...], np.ndarray, list[int]]:
    """Codebook sizes, codes of documents (some paths shared, some end early), and the rows that count."""
    sizes = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    path = st.tuples(*(st.integers(0, size - 1) for size in sizes), st.integers(1, len(sizes)))
    paths = draw(st.lists(path, min_size=1, max_size=25))
    codes = np.array([[c if t < depth else 0 for t, c in enumerate(cs)] for *cs, depth in paths], dtype=np.int32)
    rows = st.lists(st.integers(0, len(codes) - 1), unique=True, min_size=1)
    return sizes, codes, sorted(draw(st.one_of(st.just(list(range(len(codes)))), rows)))


@pytest.mark.parametrize("name", ["bert", "t5", "qwen2", "llama"])
@settings(max_examples=60)
@given(
    worlds(), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 30), st.integers(0, 99), st.booleans()
)
def test_wide_beams_and_the_exact_search_equal_scoring_every_document(
    name: str,
    checkpoints: dict[str, Path],
    world: tuple[tuple[int, ...], np.ndarray, list[int]],
    lengths: list[int],
    k: int,
    seed: int,
    renormalise: bool,
):
    sizes, codes, rows = world
    model = make_model(checkpoints[name], sizes, seed)
    memory = make_memory(model, lengths, seed)
    trie = Trie.of(codes, sizes).subset(np.array(rows))
    scores = brute_force(model, memory, codes, rows, renormalise)
    check(beam_search(model, memory, trie, k, beams=30, renormalise=renormalise), scores, rows, k)
    for beams in (1, 2):
        check(exact_search(model, memory, trie, k, beams=beams, renormalise=renormalise), scores, rows, k)


@torch.no_grad()
def favoured(
    model: SemanticIndexer, memory: Memory, codes: np.ndarray, new: list[int], rows: list[int], novelty: float
) -> Tensor:
    """Scores (B, rows) where documents `new` are favoured, one after another, no trie."""
    old = [path for row, path in enumerate(codes.tolist()) if row not in new]
    scores = brute_force(model, memory, codes, rows, renormalise=False)
    for column, row in enumerate(rows):
        path = codes[row].tolist()
        shared = max(t for t in range(len(path) + 1) if any(path[:t] == each[:t] for each in old))
        if shared == len(path):
            continue  # it has the path of a known one
        siblings = [each for each in old if each[:shared] == path[:shared]]
        parting = torch.zeros(len(scores))
        for t in range(shared + 1):
            prefix = torch.tensor([path[:t]] * len(scores), dtype=torch.long).view(len(scores), t)
            following = model.codebooks[t].logits(model(memory, prefix)[:, -1]).log_softmax(-1)
            parting += following[:, path[t]] if t < shared else 0
        mean = following[:, sorted({each[shared] for each in siblings})].double().exp().sum(1) / len(siblings)
        p = (scores[:, column] - parting).double().exp()
        raised = 1 / (1 / (p * np.exp(novelty)) + 1 / mean) if novelty > 0 else p * np.exp(novelty)
        scores[:, column] = (parting + (raised.maximum(p) if novelty > 0 else raised).log()).float()
    return scores


@settings(max_examples=60)
@given(worlds(), st.integers(1, 30), st.integers(0, 99), st.sampled_from([-2.0, 0.5, 2.0, 20.0]), st.data())
def test_new_documents_are_favoured_and_the_search_is_still_exact(
    checkpoints: dict[str, Path],
    world: tuple[tuple[int, ...], np.ndarray, list[int]],
    k: int,
    seed: int,
    novelty: float,
    data: st.DataObject,
):
    sizes, codes, rows = world
    model = make_model(checkpoints["bert"], sizes, seed, sharpness=1.0)
    new = data.draw(st.lists(st.integers(0, len(codes) - 1), unique=True, max_size=len(codes) - 1))
    memory = make_memory(model, [4, 7], seed)
    whole = Trie.of(codes, sizes).with_new(new, novelty)
    scores = favoured(model, memory, codes, new, rows, novelty)
    trie = whole.subset(np.array(rows))
    check(beam_search(model, memory, trie, k, beams=30), scores, rows, k)
    check(exact_search(model, memory, trie, k, beams=1), scores, rows, k)


def test_a_new_document_by_hand(checkpoints: dict[str, Path]):
    """Two known documents below code 0 and two new ones, one more new one below a code that no known one has."""
    sizes, codes = (2, 4), np.array([[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]], dtype=np.int32)
    model = make_model(checkpoints["bert"], sizes, 0)
    for position, probabilities in enumerate(([0.8, 0.2], [0.5, 0.2, 0.02, 0.28])):
        with torch.no_grad():
            model.codebooks[position].weight.zero_()
            model.codebooks[position].prior.copy_(torch.tensor(probabilities).log())
    memory, plain = make_memory(model, [4], 0), Trie.of(codes, sizes)

    def probabilities_of(trie: Trie) -> list[float]:
        found = exact_search(model, memory, trie, 5)
        return found.scores.exp()[0, found.rows[0].argsort()].tolist()

    assert probabilities_of(plain) == pytest.approx([0.4, 0.16, 0.016, 0.224, 0.1])
    raised = probabilities_of(plain.with_new([2, 3, 4], np.log(10)))
    # below code 0 known ones have (.5 + .2) / 2 on average, below the root .8 / 2
    assert raised == pytest.approx(
        [0.4, 0.16, 0.8 / (1 / 0.2 + 1 / 0.35), 0.8 / (1 / 2.8 + 1 / 0.35), 1 / (1 / 1 + 1 / 0.4)], rel=1e-4
    )
    assert probabilities_of(plain.with_new([2, 3, 4], 100)) == pytest.approx([0.4, 0.16, 0.28, 0.28, 0.4], rel=1e-4)
    assert probabilities_of(plain.with_new([2], -np.log(2)))[2] == pytest.approx(0.008, rel=1e-4)
    with pytest.raises(ValueError, match="all documents are new"):
        plain.with_new(range(5), 1.0)


@pytest.mark.parametrize("sharpness", [0.3, 8.0])
def test_the_exact_search_finds_what_a_narrow_beam_misses(checkpoints: dict[str, Path], sharpness: float):
    sizes = (12, 12, 12)
    codes = np.random.default_rng(0).integers(0, 12, (400, 3)).astype(np.int32)
    trie, rows = Trie.of(codes, sizes), list(range(400))
    model = make_model(checkpoints["bert"], sizes, 3, sharpness)
    memory = make_memory(model, [5, 9, 2, 7, 7, 3], 3)
    scores = brute_force(model, memory, codes, rows, renormalise=False)
    check(exact_search(model, memory, trie, 10, beams=2), scores, rows, 10)
    narrow = beam_search(model, memory, trie, 10, beams=2)
    assert (narrow.scores[:, -1] < scores.topk(10).values[:, -1] - 1e-3).any()


@pytest.mark.parametrize("name", ["bert", "t5", "qwen2"])
def test_no_answer_is_invalid_over_thousands_of_queries(name: str, checkpoints: dict[str, Path]):
    dice = np.random.default_rng(1)
    for seed, sizes in enumerate([(7, 5), (4, 9, 3), (5, 3, 4, 2)]):
        model = make_model(checkpoints[name], sizes, seed)
        codes = dice.integers(0, sizes, (60, len(sizes))).astype(np.int32)
        allowed = set(dice.choice(60, 40, replace=False).tolist())
        trie = Trie.of(codes, sizes).subset(np.array(sorted(allowed)))
        memory = make_memory(model, dice.integers(1, 7, 1000).tolist(), seed)
        for beams in (1, 3, 10):
            found = beam_search(model, memory, trie, 10, beams)
            assert set(found.rows.unique().tolist()) <= allowed
            assert all(len(set(rows)) == 10 for rows in found.rows.tolist())
            assert (found.scores.diff(dim=1) <= 0).all()
            assert found.scores.isfinite().all()


def test_narrow_beams_still_give_k_documents(checkpoints: dict[str, Path]):
    """One beam leads to one document; wider rounds are appended until all five are there."""
    sizes, codes = (5, 5), np.array([[c, c] for c in range(5)], dtype=np.int32)
    model = make_model(checkpoints["bert"], sizes, 0)
    memory = make_memory(model, [3, 5, 8], 0)
    found = beam_search(model, memory, Trie.of(codes, sizes), 5, beams=1)
    scores = brute_force(model, memory, codes, list(range(5)), renormalise=False)
    assert found.rows.sort(1).values.tolist() == [list(range(5))] * 3
    never_rising = scores.gather(1, found.rows).cummin(1).values  # what a wider round found scores no more than before
    torch.testing.assert_close(found.scores, never_rising, rtol=1e-4, atol=1e-4)
    first = beam_search(model, memory, Trie.of(codes, sizes), 1, beams=1)
    assert torch.equal(first.rows[:, 0], found.rows[:, 0]), "what came first stays first"


def test_a_querys_answer_does_not_depend_on_its_batch(checkpoints: dict[str, Path]):
    sizes = (6, 6, 6)
    trie = Trie.of(np.random.default_rng(0).integers(0, 6, (80, 3)), sizes)
    model = make_model(checkpoints["bert"], sizes, 5)
    memory = make_memory(model, [4, 9, 1], 5)
    together = beam_search(model, memory, trie, 10, beams=4)
    for b in range(3):
        one = Memory(memory.states[b : b + 1], memory.mask[b : b + 1], memory.weight[b : b + 1])
        alone = beam_search(model, one, trie, 10, beams=4)
        assert torch.equal(alone.rows[0], together.rows[b])


def test_equal_scores_come_in_the_order_of_ranks(checkpoints: dict[str, Path]):
    """All codes alike: every path is as probable, 1 / (3 * 3)."""
    sizes, codes = (3, 3), np.array([[2, 1], [0, 2], [2, 0], [0, 1], [2, 1], [1, 1], [0, 1]], dtype=np.int32)
    ranks = np.array([5, 3, 0, 4, 1, 6, 2])
    model = make_model(checkpoints["bert"], sizes, 0)
    with torch.no_grad():
        for codebook in model.codebooks:
            codebook.weight.zero_()
    memory = make_memory(model, [4, 2], 0)
    wide = beam_search(model, memory, Trie.of(codes, sizes, ranks), 7, beams=3)
    # paths by their lowest rank: 2.0 (0), 2.1 (1, 5), 0.1 (2, 4), 0.2 (3), 1.1 (6)
    assert wide.rows.tolist() == [[2, 4, 0, 6, 3, 1, 5]] * 2
    torch.testing.assert_close(wide.scores, torch.full((2, 7), -2 * np.log(3.0)))
    # two beams lead to what is below codes 0 and 1; the second round adds the rest
    narrow = beam_search(model, memory, Trie.of(codes, sizes, ranks), 7, beams=2)
    assert narrow.rows.tolist() == [[6, 3, 1, 5, 2, 4, 0]] * 2
    assert beam_search(model, memory, Trie.of(codes, sizes, ranks), 2, beams=2).rows.tolist() == [[6, 3]] * 2


@settings(max_examples=60)
@given(worlds(), st.integers(1, 4), st.integers(0, 99), st.booleans(), st.booleans(), st.booleans())
def test_more_documents_are_more_of_the_same(
    checkpoints: dict[str, Path],
    world: tuple[tuple[int, ...], np.ndarray, list[int]],
    beams: int,
    seed: int,
    renormalise: bool,
    equal: bool,
    some_new: bool,
):
    """The first j of k are the first j of any larger k, whoever they are asked with, and none scores more than above.

    With `equal` codes of a position are alike, so that every score is there many times.
    """
    sizes, codes, rows = world
    model, dice = make_model(checkpoints["bert"], sizes, seed), np.random.default_rng(seed)
    if equal:
        with torch.no_grad():
            for codebook in model.codebooks:
                codebook.weight.zero_()
    trie = Trie.of(codes, sizes, dice.permutation(len(codes)))
    if some_new:
        trie = trie.with_new(dice.permutation(len(codes))[: len(codes) // 2], 2.0)
    trie, memory = trie.subset(np.array(rows)), make_memory(model, [4, 7, 2], seed)
    whole = beam_search(model, memory, trie, len(rows), beams, renormalise=renormalise)
    assert [sorted(each) for each in whole.rows.tolist()] == [rows] * 3
    assert (whole.scores.diff(dim=1) <= 0).all()
    for k in range(1, len(rows)):
        some = beam_search(model, memory, trie, k, beams, renormalise=renormalise)
        assert some.rows.tolist() == whole.rows[:, :k].tolist()
        torch.testing.assert_close(some.scores, whole.scores[:, :k])
    first = beam_search(model, memory, trie, 1, beams, renormalise=renormalise)
    exact = exact_search(model, memory, trie, len(rows), beams, renormalise=renormalise)
    assert (first.scores <= exact.scores[:, :1] + 1e-4).all()


def test_wider_rounds_are_appended_and_score_no_more_than_what_stands_before(checkpoints: dict[str, Path]):
    """First codes of .5, .3 and .2; the first two lead to poor documents, the third to the best of all.

    One beam finds the first path, two the second, four the third: in that order, though the third has a higher
    probability than both. Its score is that of the last one before it, so that scores never rise.
    """
    sizes, codes = (3, 2), np.array([[0, 0], [1, 0], [2, 1], [0, 0]], dtype=np.int32)
    model = make_model(checkpoints["bert"], sizes, 0)
    memory, trie = make_memory(model, [4], 0), Trie.of(codes, sizes)
    for position, probabilities in enumerate(([0.5, 0.3, 0.2], [0.1, 0.9])):
        with torch.no_grad():
            model.codebooks[position].weight.zero_()
            model.codebooks[position].prior.copy_(torch.tensor(probabilities).log())
    exact = exact_search(model, memory, trie, 4, beams=1)
    assert exact.rows.tolist() == [[2, 0, 3, 1]]
    torch.testing.assert_close(exact.scores.exp(), torch.tensor([[0.18, 0.05, 0.05, 0.03]]))
    for k in (1, 2, 3, 4):
        found = beam_search(model, memory, trie, k, beams=1)
        assert found.rows.tolist() == [[0, 3, 1, 2][:k]]
        torch.testing.assert_close(found.scores.exp(), torch.tensor([[0.05, 0.05, 0.03, 0.03][:k]]))


@settings(max_examples=30)
@given(worlds(), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_the_order_of_rows_is_no_matter(
    checkpoints: dict[str, Path],
    world: tuple[tuple[int, ...], np.ndarray, list[int]],
    beams: int,
    k: int,
    seed: int,
    equal: bool,
):
    sizes, codes, _ = world
    model, dice = make_model(checkpoints["bert"], sizes, seed), np.random.default_rng(seed)
    if equal:
        with torch.no_grad():
            for codebook in model.codebooks:
                codebook.weight.zero_()
    memory, ranks, order = make_memory(model, [4, 7], seed), dice.permutation(len(codes)), dice.permutation(len(codes))
    one = beam_search(model, memory, Trie.of(codes, sizes, ranks), k, beams).rows
    other = beam_search(model, memory, Trie.of(codes[order], sizes, ranks[order]), k, beams).rows
    assert one.tolist() == torch.from_numpy(order)[other].where(other >= 0, -1).tolist()


def test_prefixes_in_several_calls_are_the_same_search(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    sizes = (6, 6, 6)
    trie = Trie.of(np.random.default_rng(0).integers(0, 6, (80, 3)), sizes)
    model = make_model(checkpoints["bert"], sizes, 5)
    memory = make_memory(model, [4, 9, 1], 5)
    at_once = beam_search(model, memory, trie, 20, beams=7)
    monkeypatch.setattr("lmindexer.model.steps.AT_ONCE", 6)
    assert torch.equal(beam_search(model, memory, trie, 20, beams=7).rows, at_once.rows)


class Looks(TorchDispatchMode):
    """Counts what would make a host wait for its device: reading a value, sizes that depend on values."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += any(name in str(func) for name in ("_local_scalar_dense", "nonzero", "unique", "masked_select"))
        return func(*args, **(kwargs or {}))


def test_a_step_never_waits_for_the_device(checkpoints: dict[str, Path]):
    """Two looks at the end (sound numbers? enough documents?), however many positions and beams there are."""
    for sizes in [(4,), (4, 4), (4, 4, 4, 4)]:
        model = make_model(checkpoints["bert"], sizes, 0)
        trie = Trie.of(np.random.default_rng(0).integers(0, 4, (50, len(sizes))), sizes)
        memory = make_memory(model, [4, 9, 1], 0)
        with Looks() as looks:
            beam_search(model, memory, trie, 3, beams=6)
        assert looks.count == 2


def test_what_cannot_be_searched_is_refused(checkpoints: dict[str, Path]):
    model = make_model(checkpoints["bert"], (3, 3), 0)
    memory, trie = make_memory(model, [4], 0), Trie.of(np.array([[0, 1], [2, 2]]), (3, 3))
    with pytest.raises(ValueError, match="no document to be found"):
        beam_search(model, memory, trie.subset(np.array([], dtype=np.int64)), 1)
    with pytest.raises(ValueError, match="positions have"):
        beam_search(model, memory, Trie.of(np.array([[0, 1]]), (3, 4)), 1)
    with pytest.raises(ValueError, match="at least 1"):
        exact_search(model, memory, trie, 0)
    with pytest.raises(ValueError, match=r"model\.eval"):
        beam_search(model.train(), memory, trie, 1)
    with torch.no_grad():
        model.eval().codebooks[1].weight[0] = torch.nan
    with pytest.raises(ValueError, match="not numbers"):
        beam_search(model, memory, trie, 1)


@pytest.mark.parametrize("name", ["bert", "t5"])
@settings(max_examples=40)
@given(worlds(), st.integers(0, 99), st.booleans(), st.data())
def test_documents_score_what_a_search_of_all_gives_them(
    name: str,
    checkpoints: dict[str, Path],
    world: tuple[tuple[int, ...], np.ndarray, list[int]],
    seed: int,
    renormalise: bool,
    data: st.DataObject,
):
    """Any of them in any order, some several times, also where some are favoured."""
    sizes, codes, rows = world
    model = make_model(checkpoints[name], sizes, seed)
    memory = make_memory(model, [3, 5], seed)
    trie = Trie.of(codes, sizes)
    new = data.draw(st.lists(st.sampled_from(range(len(codes))), unique=True, max_size=len(codes) - 1))
    trie = (trie.with_new(new, 2.0) if new else trie).subset(np.array(rows))
    wanted = torch.tensor(
        data.draw(st.lists(st.sampled_from(rows), min_size=4, max_size=12).map(lambda x: x[: len(x) // 2 * 2]))
    ).view(2, -1)
    found = beam_search(model, memory, trie, len(rows), beams=100, renormalise=renormalise)
    scores = [dict(zip(*pair, strict=True)) for pair in zip(found.rows.tolist(), found.scores.tolist(), strict=True)]
    expected = torch.tensor([[score[row] for row in some] for score, some in zip(scores, wanted.tolist(), strict=True)])
    mine = score_documents(model, memory, trie, wanted, renormalise=renormalise)
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)
