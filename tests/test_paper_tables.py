"""bench/paper: tables of systems, end to end on a tiny data set; every number is that of the run's own evaluation."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.store import load_documents
from lmindexer.runs import Run
from paper_command import Paper, rows, write_data_set


@pytest.fixture(scope="module")
def home(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and a folder for runs that the tests of this module share."""
    folder = tmp_path_factory.mktemp("paper")
    write_data_set(folder / "tiny", corpus)
    return folder


@pytest.fixture
def call(
    home: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Paper:
    return Paper(home / "tiny", home / "runs", checkpoints["bert"], monkeypatch, capsys)


def kept(home: Path, what: str) -> dict[str, Any]:
    return dict(json.loads((home / "runs/tiny" / f"{what}.json").read_text()))


def evaluated(run: Path, *more: object) -> dict[str, Any]:
    """What `lmindexer evaluate` says of a run."""
    answer = lmindexer("evaluate", run, "--format", "json", *more)
    assert answer.code == 0, answer.err
    return dict(json.loads(answer.out))


def test_table3_has_three_parts_and_the_numbers_of_evaluate(call: Paper, home: Path):
    printed = call("table3", "--only", "hc,gru4rec,most popular")
    assert re.findall(r"\*\*(.+?)\*\* \(tiny\)", printed) == [
        "As recommended, whatever the user took already",
        "Without the user's own items; later items move up",
        "Cold items alone: users whose next item is in no training part, without their own items",
    ]
    assert (home / "runs/tiny/table3.md").read_text() == printed
    runs = {row["name"]: row["runs"][0] for row in kept(home, "table3")["rows"]}
    for name, run, method in (
        ("HC", "hc-bundled-0-recommend", "generative"),
        ("GRU4Rec", "no-ids-0-recommend-gru4rec", "gru4rec"),
        ("most popular", "hc-bundled-0-recommend", "popular"),
    ):
        said = evaluated(home / "runs/tiny" / run, "--method", method)["tables"]
        assert runs[name]["parts"].keys() == said.keys() == {"as_is", "masked", "unseen"}
        for part, table in said.items():
            metrics = {metric: found["mean"] for metric, found in table["methods"][method]["metrics"].items()}
            ours = {metric: found["mean"] for metric, found in runs[name]["parts"][part]["metrics"].items()}
            assert ours == pytest.approx(metrics), (name, part)
    first = rows(printed)
    assert first["HC"][0].strip("*").startswith(f"{runs['HC']['parts']['as_is']['metrics']['recall@5']['mean']:.4f}")


def test_cold_items_are_those_of_users_whose_next_item_nobody_took_in_training(call: Paper, home: Path, corpus: Corpus):
    call("table3", "--only", "most popular")
    (row,) = kept(home, "table3")["rows"]
    users = [line.split() for line in (home / "tiny/sequences.txt").read_text().splitlines()]
    taken = {item for _, *items in users for item in items[:-2]}
    assert row["runs"][0]["parts"]["unseen"]["queries"] == sum(items[-1] not in taken for _, *items in users) == 4


def test_what_was_run_is_not_run_again(call: Paper, home: Path, monkeypatch: pytest.MonkeyPatch):
    from bench import finished
    from bench.paper import answers

    from lmindexer.teaching import fine_tuning

    first = rows(call("table4", "--only", "bm25,hc"))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was done already")

    monkeypatch.setattr(finished, "make_indexer", fail)
    monkeypatch.setattr(fine_tuning, "train", fail)
    monkeypatch.setattr(answers, "evaluate_methods", fail)
    monkeypatch.setattr(answers, "cost_of", fail)
    assert rows(call("table4", "--only", "bm25,hc")) == first
    assert "begun with other settings" in call.refused("table4", "--only", "hc", "--finetune", "epochs=2")


def test_what_was_asked_otherwise_since_then_is_asked_again(call: Paper, home: Path):
    first = rows(call("table4", "--only", "hc"))["HC"]
    run = home / "runs/tiny/hc-bundled-0-search"
    evaluated(run, "--beams", 1, "--metrics", "recall@1,10 ndcg@5,10 map@5 mrr@10")
    assert rows(call("table4", "--only", "hc"))["HC"] == first


def test_table4_says_what_was_not_run_and_why(call: Paper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from bench.paper import rows as of_paper

    monkeypatch.setenv("LMINDEXER_DATA", str(tmp_path))
    monkeypatch.setitem(of_paper.TABLE4, "SEAL", of_paper.System(of_paper.NO_IDS, "of-next-year"))
    printed = call("table4", "--only", "bm25,seal,lmindexer (t5")
    assert set(rows(printed)["SEAL"]) == {"not run"}
    assert "Not run: SEAL: there is no method of-next-year here" in printed
    assert "Not run: LMIndexer (T5-base): cannot load the model 'google-t5/t5-base'" in printed
    assert "Not run: all of Amazon-Sports: there is no amazon2014_sports in the folder LMINDEXER_DATA." in printed


def test_table6_of_two_seeds(call: Paper, home: Path):
    printed = call("table6", "--only", "lmindexer,bm25", "--pseudo", "words", seeds="0,1")
    assert "±" in rows(printed)["LMIndexer"][0]
    assert "over 2 seeds" in printed
    row = next(row for row in kept(home, "table6")["rows"] if row["name"] == "LMIndexer")
    means = [run["parts"]["all"]["metrics"]["recall@10"]["mean"] for run in row["runs"]]
    assert f"{np.mean(means):.4f} ± {np.std(means, ddof=1):.4f}" in rows(printed)["LMIndexer"][1]
    assert "learn from pseudo-words-" in printed
    assert all(run["parameters"] > 1000 and run["teaching_seconds"] > 0 and run["alone"] > 0 for run in row["runs"])


def test_p_values_against_the_best_are_adjusted_by_holm():
    from bench.paper.answers import Answered
    from bench.paper.table import Row, quality

    from lmindexer.evaluation.metrics import Judged
    from lmindexer.judging.costs import Cost

    def row(name: str, values: list[float]) -> Row:
        judged = Judged(tuple("abcdefg"), {"recall@1": np.array(values)}, {"recall@1": None}, 0)
        return Row(name, [Answered({"all": judged}, Cost(0, 0, 0), 0, 0, Path())], {"recall@1": 0.25})

    found = rows("\n".join(quality(
        [row("worst", [0] * 7), row("best", [1] * 7), row("middle", [1] * 3 + [0] * 4)], "all", ["recall@1"], "x",
    )))  # fmt: skip
    # by all signs: 7 differ, 2 of 2^7 are as far (.0156), times 2; 4 differ, 2 of 2^4 (.125), times 1
    assert found == {
        "x": ["recall@1", "paper"],
        "worst": ["0.0000 p=0.031", "0.2500"],
        "best": ["**1.0000**", "0.2500"],
        "middle": ["**0.4286** p=0.125", "0.2500"],
    }


def test_table15_asks_for_held_out_documents_that_were_added_afterwards(call: Paper, home: Path, corpus: Corpus):
    printed = call("table15", "--only", "hc,bm25", "--hold-out", "0.1")
    held = round(0.1 * len(corpus))
    assert f"Means of {held} questions" in printed
    folder = home / "runs/tiny/held-out-0.1"
    for name, size in (("hc-bundled-0", len(corpus) - held), ("hc-bundled-0-search", len(corpus))):
        assert len(load_documents(Run.open(folder / name))) == size
    assert rows(call("table15", "--only", "hc,bm25", "--hold-out", "0.1")) == rows(printed)
    assert "is none or all of them; give" in call.refused("table15", "--hold-out", "0")


def test_what_has_another_answer_was_trained_on_and_is_not_asked(call: Paper, corpus: Corpus, tmp_path: Path):
    from bench.paper.data import data_set
    from bench.paper.held_out import questions_of_held_out

    lines = [
        {"_id": "a", "query": "held out alone", "item_ids": ["doc1"], "split": "train"},
        {"_id": "b", "query": "held out and another", "item_ids": ["doc1", "doc9"], "split": "train"},
        {"_id": "c", "query": "HELD out  and another", "item_ids": ["doc1"], "split": "test"},
        {"_id": "d", "query": "held out, two of them", "item_ids": ["doc1", "doc2"], "split": "test"},
        {"_id": "e", "query": "another", "item_ids": ["doc9"], "split": "dev"},
        {"_id": "f", "query": "another", "item_ids": ["doc2"], "split": "test"},
        {"_id": "g", "query": "passed over", "item_ids": ["doc2"], "split": "spare"},
        {"_id": "h", "query": "Held out alone", "item_ids": ["doc2"], "split": "dev"},
        {"_id": "i", "query": "one of each", "item_ids": ["doc1", "doc9"], "split": "test"},
    ]
    write_items(corpus, tmp_path / "items.jsonl")
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    parts = data_set(str(tmp_path)).queries_by_split(corpus.doc_ids)
    ids = corpus.doc_ids
    assert questions_of_held_out(parts, ids, ()).query_ids == ("c", "d", "f", "i"), (
        "nothing is held out: the test queries"
    )
    found = questions_of_held_out(parts, ids, {"doc1", "doc2"})
    assert sorted(found.texts) == ["Held out alone", "held out, two of them"]
    with pytest.raises(InputError, match="no query has held-out documents for its only answers"):
        questions_of_held_out(parts, ids, {"doc3"})


def test_judgements_in_several_files_are_one_split(call: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from bench.paper.data import data_set

    folder = tmp_path / "ir_msmarco_dl_pool"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "one"}\n{"_id": "d2", "text": "two"}\n')
    (folder / "queries.jsonl").write_text("".join(f'{{"_id": "q{n}", "text": "query {n}"}}\n' for n in range(4)))
    for n, name in enumerate(("sparse_train", "sparse_dev", "test_dl19", "test_dl20")):
        (folder / f"qrels/{name}.tsv").write_text(f"query-id\tcorpus-id\tscore\nq{n}\td1\t2\n")
    monkeypatch.setenv("LMINDEXER_DATA", str(tmp_path))
    data = data_set("msmarco-pool")
    found = data.queries_by_split({"d1", "d2"})
    assert {split: queries.query_ids for split, queries in found.items()} == {
        "train": ("q0",), "dev": ("q1",), "test": ("q2", "q3"),
    }  # fmt: skip
    assert data.level == 2


def test_table14_measures_all_test_queries(call: Paper, home: Path):
    printed = call("table14", "--only", "hc,bm25")
    assert "seconds for 27 queries" in rows(printed)["tiny"][0]
    assert kept(home, "table14")["latency"]["HC"]["seconds"] > 0


def test_table12_counts_the_steps_by_hand(call: Paper):
    # 53 training queries and 80 documents: 133 pairs, 3 steps of 64
    found = rows(call("table12"))
    assert found["most steps"] == ["3 (1 epochs of 133 pairs, without pseudo-queries)", "250,000", "500,000"]
    assert found["Adam epsilon"][0] == "1e-06"


def test_the_paper_stands_beside_where_it_is_of_the_same_data(
    call: Paper, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    write_data_set(tmp_path / "amazon2014_beauty", corpus)
    (tmp_path / "esci_slice").mkdir()
    (tmp_path / "amazon2014_beauty/queries.jsonl").rename(tmp_path / "esci_slice/beauty.jsonl")
    monkeypatch.setenv("LMINDEXER_DATA", str(tmp_path))
    for what, name, numbers in (("table3", "GRU4Rec", ["0.0164", "0.0099"]), ("table4", "BM25", ["0.2490", "0.2152"])):
        found = rows(call(what, "--only", name, "--learn", "text=title", data="beauty"))
        assert [cell for cell in found[name] if re.fullmatch(r"0\.\d{4}", cell)][-2:] == numbers


@pytest.mark.parametrize(("what", "panels"), [("figure5", 2), ("figure7", 1), ("figure8", 2)])
def test_figures_of_a_setting(what: str, panels: int, call: Paper, home: Path, monkeypatch: pytest.MonkeyPatch):
    from bench.paper import studies

    monkeypatch.setattr(studies, "CODES", (3, 4))
    monkeypatch.setattr(studies, "LENGTHS", (1, 2))
    printed = call(what)
    for end in ("csv", "svg", "png"):
        assert str(home / f"runs/tiny/{what}.{end}") in printed.splitlines()
        assert (home / f"runs/tiny/{what}.{end}").stat().st_size > 100
    facts = kept(home, what)["panels"]
    assert len(facts) == panels
    assert len((home / f"runs/tiny/{what}.csv").read_text().splitlines()) == 1 + 4 * panels
    assert (home / "runs/tiny/lmindexer-0").is_dir(), "the setting that LMIndexer has by itself is LMIndexer"


def test_a_row_is_named_whole_or_by_its_beginning(call: Paper, corpus: Corpus):
    from bench.paper.bench import Bench
    from bench.paper.data import DataSet

    from lmindexer.config import LearnConfig

    def chosen(*only: str) -> list[str]:
        bench = Bench(DataSet("x", Path()), corpus, LearnConfig(), [0], Path(), True, only)
        return bench.chosen(["HC", "LMIndexer", "LMIndexer (T5-base)"])

    assert chosen("lmindexer") == ["LMIndexer"]
    assert chosen("lmindexer (", "hc") == ["HC", "LMIndexer (T5-base)"]
    assert chosen("lm") == ["LMIndexer", "LMIndexer (T5-base)"]
    assert chosen("") == ["HC", "LMIndexer", "LMIndexer (T5-base)"]


def test_what_cannot_be_asked_is_refused_in_a_sentence(call: Paper, tmp_path: Path, home: Path):
    assert "no row begins with nothing; the rows are HGN" in call.refused("table3", "--only", "nothing")
    assert "--finetune document_share counts for no row" in call.refused("table3", "--finetune", "document_share=0.5")
    assert "is no setting; give KEY=VALUE" in call.refused("table3", "--learn", "epochs")
    (tmp_path / "items.jsonl").write_text((home / "tiny/items.jsonl").read_text())
    assert "has no sequences of what users took" in call.refused("table3", data=tmp_path)
    assert "has no queries" in call.refused("table6", data=tmp_path)
    assert "is neither a file nor a folder" in call.refused("table6", data=tmp_path / "absent")
