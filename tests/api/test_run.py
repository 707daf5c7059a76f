"""A run in Python: learned, asked, changed, saved and loaded, in memory or in a folder."""

import gc
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmindexer as lm
from lmindexer.indexers.registry import load_indexer
from lmindexer.methods.registry import load_retriever
from lmindexer.runs import Run
from small_tasks import LEARN, QUICK, QUIET


def test_a_run_in_memory_goes_with_its_object(corpus: lm.Corpus):
    run = lm.TwoStepIndexer(indexer="random", sizes=(4, 3), device="cpu").fit(corpus, progress=QUIET)
    folder = run.path
    assert (folder / "ids.parquet").is_file()
    again = run.fit(corpus, progress=QUIET)
    assert not folder.exists(), "learned anew, it has another"
    folder = again.path
    method = run.method("bm25")
    del run, again
    gc.collect()
    assert not folder.parent.exists()
    assert method.search(["rose"], 1), "what was opened needs no folder"


def test_a_forked_process_leaves_the_run_to_its_maker(corpus: lm.Corpus):
    run = lm.without_ids(corpus)
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        assert run.path.is_dir()
    else:
        del run
        gc.collect()
        os._exit(0)


def test_in_memory_and_in_a_folder_are_the_same(items: lm.LMIndexer, corpus: lm.Corpus, tmp_path: Path):
    settings = {"backbone": items.config.backbone, **LEARN}
    there = lm.LMIndexer(**settings).fit(items.corpus(), tmp_path / "run", progress=QUIET)
    assert there.path == tmp_path / "run"
    assert there.ids == items.ids
    assert load_indexer(tmp_path / "run").ids == items.ids
    assert list(items.corpus()) == list(corpus)


def test_saved_then_loaded_is_the_same(search: lm.OpenRun, tmp_path: Path):
    place = search.save(tmp_path / "runs" / "search")
    loaded = lm.load(place)
    assert loaded.ids == search.ids
    assert loaded.search(["rose", "an old pan"], 5) == search.search(["rose", "an old pan"], 5)
    assert load_retriever(place).search(["rose"], 3) == search.search(["rose"], 3)
    assert Run.open(place).facts["indexed_by"] == "a run in memory"
    assert sorted(path.name for path in place.parent.iterdir()) == ["search"], "nothing else is left"
    with pytest.raises(lm.InputError, match="search exists already; save to another folder"):
        search.save(place)


def test_a_save_that_fails_leaves_nothing(search: lm.OpenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: Any, **how: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shutil, "copytree", fail)
    with pytest.raises(lm.InputError, match="no space left"):
        search.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_documents_come_and_go(items: lm.LMIndexer, tmp_path: Path):
    run = lm.load(items.save(tmp_path / "run"))
    new = [{"key": 4711, "words": "a rose"}, {"key": "doc3", "words": items.corpus()[3].text}]
    ids = run.index(new)
    assert ids[4711] == ids["4711"]
    assert ids["doc3"] == items.ids["doc3"]
    assert run.add(new) == ("4711",)
    assert run.ids["4711"] == ids["4711"]
    assert run.lookup(run.ids[4711]) == [lm.Document("4711", "a rose")]
    assert ["4711"] in [[hit.doc_id for hit in found] for found in run.search(["a rose"], 1, only=[4711])]
    assert repr(run).startswith("OpenRun(81 documents")
    run.remove(np.array([4711]))
    assert run.ids == items.ids
    assert run.lookup((99, 99)) == []
    with pytest.raises(lm.InputError, match="must be a list, not the one text 'doc3'"):
        run.remove("doc3")


def test_what_is_taught_answers(search: lm.OpenRun, recommend: lm.OpenRun, items: lm.LMIndexer):
    assert len(search.search(["rose"], k=5)[0]) == 5
    assert len(recommend.recommend([["doc3", "doc4"]], k=5)[0]) == 5
    assert search.answer(["rose"], 3) == search.method(beams=20).answer(["rose"], 3)
    assert items.method("bm25").search(["knife"], 1)
    assert items.method("popular", histories={"u": ["doc7"]}).recommend([["doc1"]], 1)[0][0].doc_id == "doc7"
    with pytest.raises(lm.InputError, match="queries must be a list, not the one text 'rose'"):
        search.search("rose")
    with pytest.raises(lm.InputError, match="a history must be a list, not the one text 'doc3'"):
        recommend.recommend(["doc3"])
    with pytest.raises(lm.InputError, match=r"query 1 is 3, not a text"):
        search.search([3])  # type: ignore[list-item]


def test_ids_may_be_numbers_and_arrays_are_lists(histories: list[list[str]]):
    corpus = lm.Corpus.of({n: f"word{n} and more" for n in range(20)})
    run = lm.without_ids(corpus)
    method = run.method("popular", histories=[[n, (n + 1) % 20, 7] for n in range(20)])
    listed = method.recommend([["3", "4"]], 3)
    assert method.recommend(np.array([[3, 4]]), 3) == listed
    assert method.recommend([[3.0, np.int32(4)]], 3) == listed
    assert run.method("bm25").search(np.array(["word3"]), 1)[0][0].doc_id == "3"
    with pytest.raises(lm.InputError, match=r"3\.5 is no id of a document"):
        method.recommend([[3.5]], 3)


def test_a_run_keeps_the_questions_that_it_was_taught_with(
    search: lm.OpenRun, recommend: lm.OpenRun, items: lm.LMIndexer
):
    assert search.questions("test").asked == ("frost",)
    assert len(recommend.questions()) == len(recommend.questions("dev")) == 80
    with pytest.raises(lm.InputError, match="the splits of histories are test and dev, not 'train'"):
        recommend.questions("train")
    with pytest.raises(lm.InputError, match="a run in memory was not taught any task"):
        items.questions()


def test_one_query_is_enough(items: lm.LMIndexer):
    taught = items.teach(queries={"gentle shampoo": ["doc3"]}, progress=QUIET, **QUICK)
    notes = taught._open.read_json("finetune.json")["notes"]
    assert any("first words of its documents choose the epoch" in note for note in notes)
    assert len(taught.search(["gentle shampoo"], 2)[0]) == 2


def test_before_it_has_learned_it_says_so():
    indexer = lm.LMIndexer(sizes=(4, 4))
    assert repr(indexer) == "LMIndexer(not learned yet)"
    assert indexer.config.sizes == (4, 4)
    for use in (lambda: indexer.ids, indexer.corpus, lambda: indexer.search(["x"]), lambda: indexer.save("x")):
        with pytest.raises(lm.InputError, match="has not learned yet; call fit"):
            use()
    with pytest.raises(lm.InputError, match="name it with out="):
        indexer.fit(lm.Corpus.of({"a": "b", "c": "d"}), resume=True)
    with pytest.raises(lm.InputError, match=r"must be a Corpus, not \[1\]; make one with Corpus.of"):
        indexer.fit([1])  # type: ignore[arg-type]


def test_a_run_without_ids_answers_by_words(corpus: lm.Corpus):
    run = lm.without_ids(corpus)
    assert "no IDs; a run in memory" in repr(run)
    assert run.method("bm25").search(["knife"], 1)
    with pytest.raises(lm.InputError, match=r"has documents and no IDs .*--method that needs none"):
        run.search(["knife"])


def test_ids_of_elsewhere_are_a_run(items: lm.LMIndexer, tmp_path: Path):
    items.ids.export(tmp_path / "ids.jsonl", "jsonl")
    run = lm.import_ids(tmp_path / "ids.jsonl", items.corpus(), progress=QUIET)
    assert run.ids.paths.tolist() == items.ids.paths.tolist()


def test_report_and_page(items: lm.LMIndexer, tmp_path: Path):
    report = items.report()
    assert report.to_dict()["quality"]
    assert "AMI(c1, level 1" in report._repr_markdown_() == str(report)
    page = items.explore(tmp_path / "deep" / "tree.html")
    assert page.read_text().startswith("<!doctype html>")


def test_a_damaged_report_is_refused(items: lm.LMIndexer, tmp_path: Path):
    saved = lm.load(items.save(tmp_path / "items"))
    run = Run(saved.path)
    run.write_json("report.json", items.report().to_dict() | {"quality": []})
    run.finish()  # its digest is that of what stands there now
    saved = lm.load(saved.path)
    with pytest.raises(lm.InputError, match=r"report\.json is damaged"):
        str(saved.report())


def test_what_is_shown_of_an_object_is_short(
    items: lm.LMIndexer, search: lm.OpenRun, recommend: lm.OpenRun, corpus: lm.Corpus
):
    shown = [
        (items, "LMIndexer(80 documents, IDs of 6 x 4 codes; a run in memory)"),
        (search, "OpenRun(80 documents, IDs of 6 x 4 codes, taught to search; a run in memory)"),
        (items.ids, "IdTable(80 documents, 6 x 4 codes)"),
        (items.method("bm25"), "Bm25Retriever(bm25, 80 documents)"),
        (recommend.questions(), "Questions(80 histories)"),
        (lm.Queries.of({"a": ["x", "y"]}), "Queries(1 queries, 2 relevant documents)"),
        (lm.Histories.of([["a", "b"], ["c"]]), "Histories(2 users, 3 items)"),
        (corpus, "Corpus(80 documents, 0 skipped)"),
        (lm.Document("a", "b", ("c",)), "Document('a', 'b', ('c',))"),
    ]
    for thing, text in shown:
        assert repr(thing) == text
    assert len(repr(lm.Document("a", "long " * 1000))) < 100


def test_dev_and_test_queries_are_kept_apart(items: lm.LMIndexer, tmp_path: Path):
    given = {"old pan": ["doc6"], "mast": ["doc9"], "rose": ["doc3"]}
    taught = items.teach(queries=given, dev={"pan": ["doc6"]}, test={"ROSE": ["doc3"]}, progress=QUIET, **QUICK)
    assert taught.questions("dev").asked == ("pan",)
    assert taught.questions("test").asked == ("ROSE",)
    learned = taught.taught_queries
    assert learned is not None
    assert learned.texts == ("old pan", "mast")
    with pytest.raises(lm.InputError, match=r"queries.jsonl names its splits itself; leave out dev="):
        items.teach(queries=tmp_path / "queries.jsonl", dev=given)
    with pytest.raises(lm.InputError, match="name it with out="):
        items.teach(queries=given, resume=True)


def test_pseudo_queries_are_made_and_taught(items: lm.LMIndexer, checkpoints: dict[str, Path], tmp_path: Path):
    made = items.pseudo(["title", "words"], per_document=1, keep_found=2, progress=QUIET)
    assert {query.source for query in made} == {"title", "words"}
    out = tmp_path / "new" / "pseudo.jsonl"
    assert items.pseudo(["title", "words"], out=out, per_document=1, keep_found=2, progress=QUIET) == made
    assert len(out.read_text().splitlines()) == len(made)
    taught = items.teach(pseudo=[out], sources=["words"], progress=QUIET, **QUICK)
    assert taught.search([made[-1].text])
    how = {"epochs": 1, "device": "cpu", "progress": QUIET}
    writer = items.train_writer(
        str(checkpoints["t5"]), tmp_path / "writer", queries={"the rose": ["doc3"], "old pan": ["doc6"]}, **how
    )
    written = items.pseudo(model=writer, per_document=1, top_k=3, device="cpu", progress=QUIET)
    assert {query.source for query in written} == {"model"}
    with pytest.raises(lm.InputError, match="no kind of query was asked for"):
        items.pseudo()
