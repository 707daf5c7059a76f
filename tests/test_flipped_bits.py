"""A byte that flipped in any listed file of a fine-tuned run: whatever verb reads the file says so in one sentence."""

import shutil
from pathlib import Path

import pytest

from command_line import lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.runs import Run
from small_tasks import learn, write_queries, write_sequences
from test_finetuning import finetuned

VERBS: dict[str, tuple[str, ...]] = {
    "search": ("search", "RUN", "rose"),
    "bm25": ("search", "RUN", "rose", "--method", "bm25"),
    "evaluate": ("evaluate", "RUN"),
    "other queries": ("evaluate", "RUN", "--queries", "queries.jsonl", "--method", "bm25"),
    "its queries by name": ("evaluate", "RUN", "--queries", "RUN/queries.jsonl"),
    "its sequences by name": ("evaluate", "RUN", "--sequences", "RUN/sequences.jsonl"),
    "inspect": ("inspect", "RUN"),
    "compare": ("compare", "RUN", "run"),
    "explore": ("explore", "RUN"),
    "index": ("index", "RUN", "new.jsonl"),
    "export": ("export", "RUN"),
    "pairs": ("pairs", "RUN", "--out", "pairs.html"),
    "pseudo": ("pseudo", "RUN", "--ways", "words", "--out", "pseudo.jsonl"),
    "add": ("add", "RUN", "new.jsonl"),
    "remove": ("remove", "RUN", "doc3"),
}
ASKING = ("search", "evaluate")
READ_BY: dict[str, tuple[str, ...]] = {
    "backbone": ("index", "add"),
    "config.toml": (*ASKING, "inspect", "compare", "index", "add"),
    "dense.parquet": (),  # made anew
    "documents.parquet": (*ASKING, "bm25", "inspect", "compare", "explore", "pairs", "pseudo", "add", "remove"),
    "finetune.json": ASKING,
    "finetune.toml": ASKING,
    "ids.jsonl": (),  # for people, and to mend ids.parquet by
    "ids.parquet": (*ASKING, "bm25", "inspect", "compare", "explore", "index", "export", "pairs", "add", "remove"),
    "known.parquet": ASKING,
    "quantiser.safetensors": ("index", "add"),
    "queries.jsonl": ("evaluate", "other queries", "its queries by name"),
    "report.json": ("inspect", "compare"),
    "retriever.safetensors": ASKING,
    "retriever_backbone": ASKING,
    "sequences.jsonl": ("evaluate", "its sequences by name"),
    "weights.json": ASKING,
}


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and two that were taught from it: one to search, one to recommend."""
    folder = tmp_path_factory.mktemp("home")
    write_queries(folder / "queries.jsonl")
    write_sequences(folder / "taken.txt", corpus)
    write_items(Corpus.from_documents([Document("new", "a rose in the garden")]), folder / "new.jsonl")
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    finetuned(folder / "run", "--queries", folder / "queries.jsonl", "--out", folder / "search")
    finetuned(folder / "run", folder / "taken.txt", "--out", folder / "recommend", "--items", "ids")
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("taught", ["search", "recommend"])
def test_a_flipped_byte_is_told_by_whoever_reads_it(
    taught: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = Path(shutil.copytree(home, tmp_path / "here"))
    monkeypatch.chdir(here)
    files = list(Run.open(Path(taught)).files)
    assert "sequences.jsonl" in files if taught == "recommend" else "queries.jsonl" in files
    for name in files:
        written = Path(taught, name).read_bytes()
        flip(Path(taught, name))
        for verb in READ_BY[name.split("/")[0]]:
            answer = lmindexer(*(word.replace("RUN", taught) for word in VERBS[verb]))
            assert (answer.code, answer.out) == (2, ""), f"{verb} reads {name}: {answer.err}"
            *notes, told = answer.err.splitlines()
            assert all(note.startswith("note: ") for note in notes)
            assert f"{name} is damaged: its bytes are not those that were written" in told
        Path(taught, name).write_bytes(written)
