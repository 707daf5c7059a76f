"""The run folder: what is in it, and that a run stopped anywhere ends as if it had not been."""

import json
import math
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from command_line import SMALL, entries, learned, lmindexer, write_items
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.evaluation.neighbours import lexical_neighbours
from lmindexer.ids.quality import measure
from lmindexer.ids.table import IdTable
from lmindexer.indexers import lmindexer as lmindexer_module
from lmindexer.progress import Progress
from lmindexer.runs import Run

FILES = {
    "run.json", "config.toml", "log.jsonl", "documents.parquet", "ids.parquet", "ids.jsonl", "indexer.safetensors",
    "reconstructor.safetensors", "backbone", "report.json", "report.md", "curves.png", ".lock",
}  # fmt: skip
STEPS = 18  # 80 documents make 3 batches; 1 + 2 * (1 + 1) + 1 epochs


class StoppedError(Exception):
    """The power goes."""


@pytest.fixture(scope="module")
def items(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(corpus, tmp_path_factory.mktemp("items") / "items.jsonl")


@pytest.fixture(scope="module")
def learn(items: Path, checkpoints: dict[str, Path]) -> tuple[object, ...]:
    """The command that the tests here run, but for --out."""
    flags = ("--label", "kind", "--seed", 7, "--checkpoint-seconds", 0)
    return ("learn", items, *SMALL, "--quiet", *flags, "--backbone", checkpoints["bert"])


@pytest.fixture(scope="module")
def run(learn: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    learned(*learn[1:], "--out", folder)
    return Run.open(folder)


def ids_of(folder: Path) -> bytes:
    return (folder / "ids.jsonl").read_bytes()


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log without its times."""
    return [{key: x for key, x in record.items() if key != "seconds"} for record in Run(folder).log_records()]


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        return [x for part in (value.values() if isinstance(value, dict) else value) for x in numbers_in(part)]
    return [value] if isinstance(value, int | float) else []


def test_the_folder_holds_all_it_should(run: Run):
    assert {path.name for path in run.path.iterdir()} == FILES
    told = set(re.findall(r"[a-z]+\.[a-z]+|backbone", __import__("lmindexer.runs").runs.__doc__))
    assert told == (FILES - {".lock"} | {"checkpoint.safetensors"})


def test_the_report_is_made_of_finite_numbers(run: Run, corpus: Corpus):
    report = run.read_json("report.json")
    assert all(math.isfinite(x) for x in numbers_in(report))
    assert len(numbers_in(report)) > 50
    assert report["seconds"] > 0
    assert 10**8 < report["peak_memory_bytes"] < 10**11
    assert set(report["rebuilding"]) == {"codes", "shuffled codes", "hints alone"}
    assert len(report["agreement"]["by_position"]) == 2
    ids = IdTable.load(run.path / "ids.parquet")
    expected = measure(ids, corpus.labels, lexical_neighbours(corpus.texts(), 7)).to_dict()
    told = report["quality"]["lmindexer"]
    assert told["neighbour_recall"]["words"] == expected.pop("neighbour_recall")
    assert {name: told[name] for name in expected} == json.loads(json.dumps(expected))


def test_the_report_is_for_people(run: Run):
    text = (run.path / "report.md").read_text()
    for told in ("# whole", "seed = 7", "| perplexity of c1 (of 4) |", "![training curves](curves.png)", "## The ID"):
        assert told in text
    pixels = matplotlib.image.imread(run.path / "curves.png")
    assert len({tuple(pixel) for row in pixels[::3, ::3].tolist() for pixel in row}) > 5, "more than an empty frame"


def test_the_config_reads_back_equal(run: Run, learn: tuple[object, ...], tmp_path: Path):
    assert run.config == LearnConfig(
        label="kind", sizes=(4, 4), epochs=1, warmup_epochs=1, reconstructor_epochs=1, settle_epochs=1,
        batch_size=32, device="cpu", seed=7, checkpoint_seconds=0.0, backbone=str(learn[-1]),
    )  # fmt: skip
    answer = lmindexer("learn", learn[1], "--quiet", "--config", run.path / "config.toml", "--out", tmp_path / "again")
    assert answer.code == 0
    assert Run.open(tmp_path / "again").config == run.config
    assert ids_of(tmp_path / "again") == ids_of(run.path), "the same seed gives the same IDs"


def test_another_seed_gives_other_ids(run: Run, learn: tuple[object, ...], tmp_path: Path):
    learned(*learn[1:], "--seed", 8, "--out", tmp_path / "other")
    assert ids_of(tmp_path / "other") != ids_of(run.path)


@pytest.mark.parametrize("stop", [0, 4, 10, STEPS - 1, "saving", "measuring"])
def test_stopped_and_resumed_it_ends_the_same(
    stop: int | str, run: Run, learn: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    steps = iter(range(1000))

    def power_goes(*_: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        if isinstance(stop, int):
            patch.setattr(
                Progress,
                "at",
                lambda *told: power_goes() if told[1] != "encoding documents" and next(steps) == stop else None,
            )
        else:
            patch.setattr(lmindexer_module, {"saving": "save_ids", "measuring": "judge"}[stop], power_goes)
        with pytest.raises(StoppedError):
            lmindexer(*learn, "--out", tmp_path / "run")
    killed = tmp_path / "run" / ".0123abcd.checkpoint.safetensors"
    killed.write_bytes(b"half a checkpoint")
    answer = lmindexer("learn", learn[1], "--quiet", "--out", tmp_path / "run", "--resume")
    assert answer.code == 0, answer.err
    assert ids_of(tmp_path / "run") == ids_of(run.path)
    assert log_of(tmp_path / "run") == log_of(run.path)
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    whole, resumed = run.read_json("report.json"), Run(tmp_path / "run").read_json("report.json")
    assert [resumed[name] for name in ("quality", "agreement")] == [whole[name] for name in ("quality", "agreement")]


@pytest.mark.parametrize("there", ["nothing", "empty folder", "killed at once", "killed a little later"])
def test_resume_starts_what_was_never_begun(there: str, run: Run, learn: tuple[object, ...], tmp_path: Path):
    folder = tmp_path / "run"
    left = {"killed at once": [".0123abcd.run.json"], "killed a little later": ["run.json", ".0123abcd.config.toml"]}
    if there != "nothing":
        folder.mkdir()
    for name in left.get(there, []):
        (folder / name).write_text("{")
    answer = lmindexer(*learn, "--out", folder, "--resume")
    assert answer.code == 0, answer.err
    assert ids_of(folder) == ids_of(run.path)
    assert {path.name for path in folder.iterdir()} == FILES


def test_a_finished_run_stays_as_it_is_when_resumed(run: Run, learn: tuple[object, ...]):
    before = {path: path.stat().st_mtime_ns for path in run.path.iterdir()}
    arguments = [x for x in learn if x != "--quiet"]
    answer = lmindexer(*arguments, "--out", run.path, "--resume")
    assert answer.code == 0
    assert "is finished already" in answer.err
    assert {path: path.stat().st_mtime_ns for path in run.path.iterdir()} == before


def test_flags_that_agree_may_be_given_again(run: Run, learn: tuple[object, ...], tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("seed = 7\nwarmup-epochs = 1\ntext = []\n")
    assert lmindexer(*learn, "--out", run.path, "--resume", "--config", recipe).code == 0


def test_a_log_cut_off_in_a_line_loses_only_that_line(tmp_path: Path):
    records = [{"stage": "codes", "epoch": n, "seconds": 0.5} for n in (1, 2)]
    (tmp_path / "log.jsonl").write_text("\n".join([*map(json.dumps, records), '{"epo']))
    assert Run(tmp_path).log_records() == records
    assert Run(tmp_path).seconds_logged == 1.0
    assert Run(tmp_path / "none").log_records() == []


@pytest.mark.parametrize(("device", "encoder"), [("cpu", "frozen"), ("cuda", "full"), ("mps", "full")])
def test_a_run_of_the_time_when_the_machine_chose_the_encoder_says_what_it_chose(
    device: str, encoder: str, tmp_path: Path
):
    run = Run.create(tmp_path / "run", LearnConfig(), {"device": device})
    text = (run.path / "config.toml").read_text()
    (run.path / "config.toml").write_text(text.replace('encoder = "frozen"', 'encoder = "auto"'))
    assert run.config == LearnConfig(encoder=encoder)


def test_a_new_run_is_learning_until_it_is_finished(tmp_path: Path):
    corpus = {"documents": 1, "fingerprint": "f"}
    run = Run.create(tmp_path / "a" / "run", LearnConfig(seed=5), {"device": "cpu", "corpus": corpus})
    assert entries(run.path) == ["config.toml", "run.json"]
    assert run.facts["state"] == "learning"
    assert run.facts["device"] == "cpu"
    with pytest.raises(InputError, match="not finished"):
        Run.open(run.path)
    with pytest.raises(InputError, match="exists already"):
        Run.create(run.path, LearnConfig(), {})
    (run.path / "checkpoint.safetensors").touch()
    run.finish(note="done")
    assert entries(run.path) == [".lock", "config.toml", "run.json"]
    assert Run.open(run.path).config == LearnConfig(seed=5)
    assert run.facts["note"] == "done"
