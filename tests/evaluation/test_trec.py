"""Run files and judgements: what is written is read, other tools see the same order, faults name their line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import judge, parse_metrics
from lmindexer.evaluation.trec import check_ids, read_qrels, read_run, write_run

finite = st.floats(-1e30, 1e30)


def test_a_run_by_hand(tmp_path: Path):
    write_run(tmp_path / "run", {"q1": [("d1", 2.5), ("d2", -1.0)], "q2": [("d1", 0.25)], "q3": []}, "mine")
    assert (tmp_path / "run").read_text() == "q1 Q0 d1 1 2.5 mine\nq1 Q0 d2 2 -1.0 mine\nq2 Q0 d1 1 0.25 mine\n"
    assert read_run(tmp_path / "run") == {"q1": [("d1", 2.5), ("d2", -1.0)], "q2": [("d1", 0.25)]}


@given(st.lists(finite, min_size=1, max_size=30))
def test_scores_fall_strictly_and_stay_what_they_were(tmp_path_factory: pytest.TempPathFactory, scores: list[float]):
    path = tmp_path_factory.mktemp("runs") / "run"
    falling = sorted(scores, reverse=True)
    write_run(path, {"q": [(str(n), score) for n, score in enumerate(falling)]})
    found = read_run(path)["q"]
    assert [doc_id for doc_id, _ in found] == [str(n) for n in range(len(falling))]
    written = np.array([score for _, score in found], np.float32)
    assert (np.diff(written) < 0).all()
    assert written == pytest.approx(falling, rel=1e-5, abs=1e-40)


def test_trec_eval_sees_the_order_of_documents_that_share_a_score(tmp_path: Path):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    ranked = ["a", "c", "b", "e", "d"]
    write_run(tmp_path / "run", {"q": [(doc_id, -7.25) for doc_id in ranked]})
    with (tmp_path / "run").open() as file:
        run = pytrec_eval.parse_run(file)
    for wanted in ranked:
        theirs = pytrec_eval.RelevanceEvaluator({"q": {wanted: 1}}, {"recip_rank"}).evaluate(run)
        ours = judge(["q"], [ranked], [{wanted: 1}], parse_metrics(["mrr@10"]))
        assert theirs["q"]["recip_rank"] == pytest.approx(ours.means["mrr@10"])


@pytest.mark.parametrize("wrong", ["two words", "", "a\tb", "a\u00a0b", "\ud800"])
def test_ids_that_are_not_one_word_are_refused(tmp_path: Path, wrong: str):
    with pytest.raises(InputError, match="parts its fields by white space and cannot hold"):
        check_ids(["fine", wrong])
    for run in ({wrong: [("d", 1.0)]}, {"q": [(wrong, 1.0)]}):
        with pytest.raises(InputError, match="cannot hold"):
            write_run(tmp_path / "run", run)
    with pytest.raises(InputError, match="cannot hold"):
        write_run(tmp_path / "run", {"q": [("d", 1.0)]}, tag=wrong)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("scores", [(1.0, 2.0), (float("nan"), 0.0), (1.0, -float("inf"))])
def test_scores_that_make_no_order_are_refused(tmp_path: Path, scores: tuple[float, float]):
    with pytest.raises(ValueError, match="must be finite and not rise"):
        write_run(tmp_path / "run", {"q": [("a", scores[0]), ("b", scores[1])]})


def test_runs_of_other_tools_go_by_score_then_by_rank(tmp_path: Path):
    lines = ["q Q0 a 3 1.0 t", "q\tQ0\tb\t2\t1.0\tt", "", "q Q0 c 1 0.5 t", "q Q0 d 0 7e-1 t\r"]
    path = tmp_path / "run.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_run(path) == {"q": [("b", 1.0), ("a", 1.0), ("d", 0.7), ("c", 0.5)]}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("q Q0 d 1 2.0", "line 2: 5 fields, not the 6"),
        ("q Q0 two words 1 2.0 t", "line 2: 7 fields"),
        ("q Q0 d first 2.0 t", "line 2: the rank 'first'"),
        ("q Q0 d 2 high t", "line 2: the score 'high'"),
        ("q Q0 d 2 nan t", "line 2: the score 'nan'"),
        ("q Q0 a 2 0.5 t", "line 2: document 'a' is there twice for query 'q'"),
        ("\xff", "line 2: not UTF-8"),
    ],
)
def test_a_broken_run_names_its_line(tmp_path: Path, line: str, told: str):
    path = tmp_path / "run"
    path.write_bytes(f"q Q0 a 1 1.0 t\n{line}\n".encode("latin-1"))
    with pytest.raises(InputError, match=told) as fault:
        read_run(path)
    assert str(path) in str(fault.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.run cannot be read"):
        read_run(tmp_path / "none.run")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InputError, match="empty is empty"):
        read_run(tmp_path / "empty")
    with pytest.raises(InputError, match="empty holds no judgements"):
        read_qrels(tmp_path / "empty")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"q 0 d 1\n" * 50)[:-9])
    with pytest.raises(InputError, match=r"broken\.gz is not a whole gzip file"):
        read_qrels(tmp_path / "broken.gz")


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t0\np\ta\t-1\n",
        "q\ta\t2\r\nq\tb\t0\r\np\ta\t-1",
        "\ufeffq 0 a 2\n\nq 0 b 0\np 0 a -1\n",
        "q\tQ0\ta\t2\nq\tQ0\tb\t0\np\tQ0\ta\t-1\np\tQ0\ta\t-1\n",  # a line twice says nothing new
    ],
)
def test_judgements_of_every_kind_are_the_same(tmp_path: Path, text: str):
    (tmp_path / "qrels").write_bytes(text.encode())
    assert read_qrels(tmp_path / "qrels") == {"q": {"a": 2, "b": 0}, "p": {"a": -1}}


def test_tabs_let_ids_have_spaces(tmp_path: Path):
    (tmp_path / "qrels").write_text("q\tthe document\t1\n")
    assert read_qrels(tmp_path / "qrels") == {"q": {"the document": 1}}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("q d", "line 2: neither"),
        ("q 0 d 1 t", "line 2: neither"),
        ("q\t\t1", "line 2: neither"),
        ("q d high", "line 2: the grade 'high'"),
        ("q 0 17", "line 2: this is `qid 0 docid` without its grade"),
        ("q d inf", "line 2: the grade 'inf'"),
        ("query-id corpus-id score", "line 2: the grade 'score'"),
        ("q a 2", "line 2: document 'a' has two grades for query 'q'"),
    ],
)
def test_broken_judgements_name_their_line(tmp_path: Path, line: str, told: str):
    (tmp_path / "qrels").write_text(f"q a 1\n{line}\n")
    with pytest.raises(InputError, match=told):
        read_qrels(tmp_path / "qrels")
