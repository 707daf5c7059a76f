"""The report of a run, from a report.json and a log.jsonl made by hand."""

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from lmindexer.config import LearnConfig
from lmindexer.explore.report import draw_curves, quality_table, summary, write_report
from lmindexer.explore.tree import build_tree
from lmindexer.ids.quality import measure
from lmindexer.ids.table import IdTable
from lmindexer.runs import Run

IDS = IdTable.empty("abcd").append(np.array([0, 0, 1, 2]), 4).append(np.array([1, 1, 0, 0]), 2).with_suffix()
TEXTS = ["rose soil", "rose hedge", "storm cloud", "anchor deck"]
NEIGHBOURS = np.array([[1], [0], [3], [-1]])


def report(labels: list[tuple[str, ...]] | None = None, **changes: Any) -> dict[str, Any]:
    """What `judge` would tell of IDS; K-means is given the same codes."""
    quality = measure(IDS, labels, NEIGHBOURS).to_dict()
    quality["neighbour_recall"] = {"words": quality["neighbour_recall"], "embedding": [None, 0.25]}
    nats = {"codes": 2.5, "shuffled codes": 4.0, "hints alone": 3.75}
    told = {
        "quality": {"lmindexer": quality, "rq-kmeans": quality},
        "agreement": {"all": 0.975, "by_position": [1.0, 0.975]},
        "rebuilding": {name: {"nats": x, "accuracy": 0.5} for name, x in nats.items()},
        "peak_memory_bytes": 2_500_000_000,
        "peak_gpu_bytes": 0,
        "seconds": 90.0,
    }
    return told | changes


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "by hand", LearnConfig(label="käse"), {})
    run.write_json("report.json", report([("Garden",), ("Garden",), ("Weather",), ("Sailing",)]))
    stages = [("c1: warm-up", {}), ("c1: training", {"perplexity": 3.0, "sharing": 0.5})]
    records = [
        {"stage": stage, "epoch": epoch, "seconds": 1.0, "reconstruction": 9.0 / epoch, "macro_f1": 0.1 * epoch} | more
        for stage, more in stages
        for epoch in (1, 2, 3)
    ]
    (run.path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def row(table: list[str], name: str) -> list[str]:
    return next([cell.strip() for cell in line.split("|")[2:-1]] for line in table if line.startswith(f"| {name}"))


def test_the_table_by_hand():
    table = quality_table(report())
    assert len({line.count("|") for line in table}) == 1
    assert row(table, "perplexity of c1 (of 4)") == ["3", "3"]  # shares 1/2, 1/4, 1/4: 2 ** 1.5 = 2.83
    assert row(table, "codes used at c1") == ["75%", "75%"]
    assert row(table, "codes used at c2") == ["100%", "100%"]
    assert row(table, "documents in buckets of at most 5") == ["100.0%"] * 2
    assert row(table, "10 nearest by BM25 that share c1") == ["0.667", "0.667"]  # a and b do, c and d do not
    assert row(table, "10 nearest by the encoder that share c1") == ["-", "-"]
    assert row(table, "10 nearest by the encoder that share (c1, c2)") == ["0.250", "0.250"]
    assert not any("AMI" in line for line in table), "there are no labels"


def test_the_table_with_labels():
    table = quality_table(report([("Garden",), ("Garden",), ("Weather",), ("Sailing",)]))
    assert row(table, "AMI(c1, leaf: 3 labels)") == ["1.000", "1.000"]
    assert row(table, "pairs sharing c1 that share the leaf label") == ["1.000", "1.000"]


def test_the_sentences_by_hand():
    told = " ".join(summary(report()))
    assert "All 4 IDs are unique; 2 documents share their learned codes with another, at most 2 together." in told
    assert "the table's codes to 97.5% of the documents" in told
    assert "rebuilt at 2.50 nats from hints and a document's own codes, 4.00 from another document's codes" in told
    assert "Took 1.5 minutes and 2.5 GB of memory." in told
    assert "Warning" not in told
    assert "2.5 GB, GPU 1.2 GB of memory" in " ".join(summary(report(peak_gpu_bytes=1_200_000_000)))


def test_of_a_two_step_indexer_the_report_says_what_there_is():
    told = report()
    one = {name: told[name] for name in told if name not in ("agreement", "rebuilding")}
    one["quality"] = {"hc": told["quality"]["lmindexer"] | {"neighbour_recall": {"words": [None, 0.5]}}}
    table = quality_table(one)
    assert table[0] == "|  | hierarchical clustering |"
    assert row(table, "10 nearest by BM25 that share (c1, c2)") == ["0.500"]
    assert not any("by the encoder" in line for line in table)
    assert [line.split()[0] for line in summary(one)] == ["All", "Took"]


def test_codes_that_tell_nothing_are_warned_of():
    same = {name: {"nats": 4.0, "accuracy": 0.1} for name in ("codes", "shuffled codes", "hints alone")}
    assert summary(report(rebuilding=same))[-1].startswith("Warning: the codes hardly help to rebuild the text; try ")


def test_the_page_holds_settings_table_curves_and_tree(run: Run):
    write_report(run, build_tree(IDS, TEXTS))
    page = (run.path / "report.md").read_text(encoding="utf-8")
    told = ["# by hand", 'label = "käse"', "| codes used at c1 |", "Took 1.5", "![training curves](curves.png)", "rose"]
    places = [page.index(part) for part in told]
    assert places == sorted(places)


def lines_drawn(run: Run) -> set[tuple[float, ...]]:
    """Colours of the picture that are no shade of grey."""
    draw_curves(run)
    pixels = matplotlib.image.imread(run.path / "curves.png")
    assert pixels.shape[0] > 500
    colours = {tuple(colour) for colour in pixels[:, :, :3].reshape(-1, 3).tolist()}
    return {colour for colour in colours if max(colour) - min(colour) > 0.3}


def test_every_stage_is_a_curve(run: Run):
    drawn = lines_drawn(run)
    assert drawn
    (run.path / "log.jsonl").unlink()
    assert lines_drawn(run) == set(), "nothing logged, nothing drawn, no fault"


def test_training_that_logs_no_curve_draws_none(run: Run):
    """SimCSE logs its loss alone."""
    (run.path / "log.jsonl").write_text('{"stage": "SimCSE", "epoch": 1, "seconds": 1.0, "loss": 2.0}\n')
    write_report(run, build_tree(IDS, TEXTS, None))
    assert not (run.path / "curves.png").exists()
    assert "## Training" not in (run.path / "report.md").read_text()
