"""How BM25 counts words: its options against bm25s, and the two numbers that are chosen on dev."""

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import lmindexer
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.registry import load_retriever
from lmindexer.teaching import choose
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUIET, WORDS, learn, write_jsonl

bm25s = pytest.importorskip("bm25s")
Stemmer = pytest.importorskip("Stemmer")

TEXTS = ["Red roses and a rose on the wall", "The old wall of the garden", "roses roses roses", "a garden of old trees"]


def of(texts: list[str], **how: Any) -> Bm25Retriever:
    return Bm25Retriever(Corpus.from_documents(Document(str(n), text) for n, text in enumerate(texts)), **how)


@pytest.mark.parametrize(
    "how", [{"k1": 0.4}, {"b": 0.1}, {"k1": 0.0, "b": 1.0}, {"stem": "none", "stop_words": "none"}]
)
def test_its_options_are_those_of_bm25s(how: dict[str, Any]):
    stem, stop = how.get("stem", "english"), how.get("stop_words", "english")

    def tokens(texts: list[str]) -> list[list[str]]:
        stemmer = None if stem == "none" else Stemmer.Stemmer(stem)
        return bm25s.tokenize(texts, stopwords="en" if stop == "english" else None, stemmer=stemmer, return_ids=False,
                              show_progress=False)  # fmt: skip

    index = bm25s.BM25(k1=how.get("k1", 1.5), b=how.get("b", 0.75))
    index.index(tokens(TEXTS), show_progress=False)
    query = "the roses of the old wall roses"
    expected = {str(n): s for n, s in enumerate(index.get_scores(tokens([query])[0]).tolist()) if s}
    hits = of(TEXTS, **how).search([query], len(TEXTS))[0]
    assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-6)
    assert hits != of(TEXTS).search([query], len(TEXTS))[0]


def test_words_are_stemmed_in_the_language_that_is_named():
    assert of(["Häuser am See"]).search(["Haus"]) == [[]]
    assert [hit.doc_id for hit in of(["Häuser am See"], stem="german").search(["Haus"])[0]] == ["0"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"stem": "klingon"}, r"there is no stemmer 'klingon'; choose one of none, .*english"),
        ({"stop_words": "german"}, "there are no stop words 'german'; choose one of english, none"),
        ({"k1": -1.0}, "k1 must be 0 or more and b from 0 to 1, not -1 and 0.75"),
        ({"b": 1.5}, "k1 must be 0 or more and b from 0 to 1, not 1.5 and 1.5"),
        ({"k1": float("nan")}, "k1 must be 0 or more"),
    ],
)
def test_options_out_of_range_are_refused(how: dict[str, Any], reason: str):
    with pytest.raises(InputError, match=reason):
        of(TEXTS, **how)


def test_settings_tell_what_is_not_as_usual():
    assert of(TEXTS).settings == {"language": "english"}, "as evaluations of before have it"
    assert of(TEXTS, b=0.4, stem="none").settings == {"language": "none", "b": 0.4}


# Chosen on dev: the short document is right for every query, so length must pay.
LONG_AND_SHORT = {
    **{f"short{n}": f"{word} here" for n, word in enumerate(WORDS)},
    **{f"long{n}": " ".join([word] * 3 + ["filler", "again", "more"] * 9) for n, word in enumerate(WORDS)},
}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chosen")
    corpus = Corpus.from_documents(Document(name, text) for name, text in LONG_AND_SHORT.items())
    learn(corpus, folder / "run", indexer="none")
    write_jsonl(folder / "queries.jsonl", [
        {"query": f"{word} {split}", "item_ids": [f"short{n}"], "split": split}
        for n, word in enumerate(WORDS) for split in ("train", "dev", "test")
    ])  # fmt: skip
    answer = lmindexer("finetune", folder / "run", "--queries", folder / "queries.jsonl", "--method", "bm25", "--k1",
                       "0.5,1.5", "--b", "0,0.9", "--dev-metric", "recall@1", "--out", folder / "out")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "dev recall@1 1.0000 at k1 1.5, b 0.9" in answer.out
    return folder


def test_the_best_on_dev_is_kept_and_used(chosen: Path):
    facts = json.loads((chosen / "out" / "finetune.json").read_text())
    tried = {(one["k1"], one["b"]): one["recall@1"] for one in facts["tried"]}
    assert tried == {(1.5, 0.9): 1, (1.5, 0): 0, (0.5, 0.9): 1, (0.5, 0): 0}
    assert facts["chosen"] == {"k1": 1.5, "b": 0.9}, "of two that are equally good that which is nearer to the usual"
    taught, plain = load_retriever(chosen / "out"), load_retriever(chosen / "run", "bm25", k1=1.5, b=0.9)
    assert taught.settings == {"language": "english", "b": 0.9}
    assert taught.search(list(WORDS), 3) == plain.search(list(WORDS), 3)
    assert load_retriever(chosen / "out", b=0.0).search([WORDS[0]], 1)[0][0].doc_id == "long0", "unless it is said"
    assert lmindexer("evaluate", chosen / "out", "--metrics", "recall@1").out.count("1.0000") == 1


def test_what_does_not_fit_is_refused(chosen: Path):
    queries = ("--queries", chosen / "queries.jsonl", "--out", chosen / "other")
    for more, reason in (
        (("--epochs", 3), "epochs is a setting of networks, not of bm25 to search; leave it out"),
        (("--device", "cpu"), "device is a setting of networks"),
        (("--b", "0.5,1.5"), "b must be from 0 to 1, not 0.5,1.5"),
        (("--stem", "klingon"), "there is no stemmer 'klingon'"),
    ):
        answer = lmindexer("finetune", chosen / "run", "--method", "bm25", *queries, *more)
        assert (answer.code, reason in answer.err) == (2, True), answer.err
    (chosen / "taken.txt").write_text("u short0 short1 short2 short3\n")
    answer = lmindexer("finetune", chosen / "run", chosen / "taken.txt", "--method", "bm25", "--out", chosen / "other")
    assert "bm25 searches; name the --queries that it learns from, and no SEQUENCES" in answer.err
    assert not (chosen / "other").exists()
    answer = lmindexer("search", chosen / "run", "rose", "--method", "dense", "--stop-words", "none")
    assert "--stop-words says how --method bm25 or hybrid is asked; choose that or leave it out" in answer.err


def test_one_that_was_stopped_begins_anew(chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    how: dict[str, Any] = {"queries": chosen / "queries.jsonl", "method": "bm25", "progress": QUIET}
    with monkeypatch.context() as patched:
        patched.setattr(choose, "metric_on_dev", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finetune(chosen / "run", tmp_path / "out", **how)
    finetune(chosen / "run", tmp_path / "out", **how, resume=True)
    assert load_retriever(tmp_path / "out").name == "bm25"


def test_its_options_work_beside_generated_ids(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    learn(corpus, tmp_path / "run", indexer="lmindexer", backbone=str(checkpoints["bert"]), reconstructor_epochs=1)
    words = load_retriever(tmp_path / "run", "bm25", b=0.0, stem="none").search(["roses in old soil"], 5)
    both = load_retriever(tmp_path / "run", "hybrid", b=0.0, stem="none", weights=[1.0, 0.0])
    assert [hit.doc_id for hit in both.search(["roses in old soil"], 5)[0]] == [hit.doc_id for hit in words[0]]
    with pytest.raises(InputError, match="dense takes no stem; leave it out"):
        load_retriever(tmp_path / "run", "hybrid", stem="none", partner="dense")
