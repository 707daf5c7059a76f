"""What holds for every method of the registry, whatever it reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods import registry
from lmindexer.methods.registry import HISTORY, METHODS, PARTNERS, TEXT, load_retriever
from lmindexer.methods.retriever import Retriever
from lmindexer.questions import questions
from lmindexer.runs import Run
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_sequences

ASKED = {TEXT: ["a rose in old soil"], HISTORY: [["doc5", "doc2"]]}


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught to recommend, so that it answers both kinds of questions."""
    folder = tmp_path_factory.mktemp("methods")
    taken = write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="random", embeddings=str(checkpoints["bert"]))
    finetune(folder / "run", folder / "taught", sequences=taken, **(QUICK | {"warmup_epochs": 0}), progress=QUIET)
    return folder / "taught"


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.only_taught])
def test_each_answers_the_kinds_that_it_says(run: Path, corpus: Corpus, name: str):
    method = METHODS[name]
    for kind in (TEXT, HISTORY):
        if kind not in method.reads:
            with pytest.raises(InputError, match=f"{name} answers .* not .*; choose "):
                method.open(run, kind)
            continue
        retriever = method.open(run, kind)
        assert isinstance(retriever, Retriever)
        assert list(retriever.doc_ids) == list(corpus.doc_ids)
        (hits,) = retriever.answer(ASKED[kind], 3)
        assert len(hits) == 3
        for other in {TEXT, HISTORY} - set(retriever.reads):
            with pytest.raises(InputError, match=r"this method answers .*, not .*; choose another"):
                retriever.answer(ASKED[other], 3)
        with pytest.raises(InputError, match="some questions are texts and others histories"):
            retriever.answer([*ASKED[TEXT], *ASKED[HISTORY]], 3)
        assert retriever.answer([], 3) == []


@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_it_does_not_take_is_refused(run: Path, name: str):
    with pytest.raises(InputError, match=f"{name} takes no colour; leave it out"):
        METHODS[name].open(run, colour="red")


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.teachable])
def test_one_that_learns_nothing_cannot_be_taught(run: Path, name: str):
    with pytest.raises(InputError, match=f"{name} learns nothing; choose generative"):
        METHODS[name].begin(Run.open(run), FinetuneConfig())


def test_a_run_is_asked_as_it_was_taught(run: Path):
    assert set(load_retriever(run, "hybrid").reads) == {HISTORY, TEXT}, "with the nearest texts, not with BM25"
    assert load_retriever(run).recommend([["doc1"]], 1)
    assert load_retriever(run.parent / "run", "dense").search(["rose"], 1)
    with pytest.raises(InputError, match="there is no method 'tfidf'; choose one of generative, bm25, dense"):
        load_retriever(run, "tfidf")


def test_popular_counts_what_the_run_was_taught(run: Path):
    with pytest.raises(InputError, match=r"popular counts what users took, .* was taught no histories"):
        METHODS["popular"].open(run.parent / "run")


def test_the_names_agree():
    assert (registry.TEXT, registry.HISTORY) == (questions.TEXT, questions.HISTORY)
    assert PARTNERS == ("bm25", "dense", "popular", "dual-encoder")


def test_the_registry_imports_nothing_heavy():
    listed = "import sys, lmindexer.methods.registry; print(sorted(sys.modules.keys() & {'torch', 'numpy', 'pyarrow'}))"
    assert subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True).stdout == "[]\n"
