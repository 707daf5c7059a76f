"""Two processes learn what one does: on a CPU, with a tiny checkpoint, the same IDs and all but the same weights."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from command_line import SMALL, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from processes import ids_of, in_processes

QUIET = ("--quiet", "--precision", "fp32")


@pytest.fixture(scope="module")
def items(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(corpus, tmp_path_factory.mktemp("parallel") / "items.jsonl")


def learn(items: Path, out: Path, checkpoint: Path, encoder: str) -> tuple[object, ...]:
    more = ("--backbone", checkpoint, "--encoder", encoder, "--batch-size", 27, "--epochs", 2)
    return ("learn", items, "--out", out, *SMALL, *QUIET, *more)


def same_weights(one: Path, other: Path, name: str) -> bool:
    """Whether two runs have learned the same but for how floating point adds up."""
    a, b = load_file(one / name), load_file(other / name)
    return a.keys() == b.keys() and all((a[key] - b[key]).abs().max() < 2e-4 for key in a if a[key].is_floating_point())


@pytest.mark.parametrize(("name", "encoder"), [("bert", "frozen"), ("t5", "full")])
def test_two_processes_learn_the_ids_that_one_does(
    items: Path, checkpoints: dict[str, Path], tmp_path: Path, name: str, encoder: str
):
    alone = lmindexer(*learn(items, tmp_path / "alone", checkpoints[name], encoder))
    assert alone.code == 0, alone.err
    answer = in_processes(2, *learn(items, tmp_path / "two", checkpoints[name], encoder))
    assert answer.code == 0, answer.err
    assert ids_of(tmp_path / "two") == ids_of(tmp_path / "alone")
    assert same_weights(tmp_path / "two", tmp_path / "alone", "indexer.safetensors")
    assert same_weights(tmp_path / "two", tmp_path / "alone", "reconstructor.safetensors")
