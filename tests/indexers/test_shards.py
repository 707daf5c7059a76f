"""Documents in shards: what workers and group-bys do equals what one process does with all files.

The engine is stood in for by one process, and once (slow) a real local Ray of two workers, of which one is killed.
"""

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command_line import learned, lmindexer
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.remote import find_shards, local_copy
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers import on_ray
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.shards import Job, ShardIndexer, numbered, without_repeats, write_result

LEARNED, SHARDS = 12, 3


def write_shard(path: Path, lines: list[dict[str, str]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first documents of the corpus are learned, with so few codes that many share a path."""
    folder = tmp_path_factory.mktemp("sharded")
    items = write_shard(folder / "items.jsonl", [{"id": d.id, "text": d.text} for d in list(corpus)[:LEARNED]])
    learned(items, "--out", folder / "run", "--indexer", "rq-kmeans", "--embeddings", checkpoints["bert"],
            "--sizes", "2,2")  # fmt: skip
    return folder / "run"


@pytest.fixture
def files(corpus: Corpus, tmp_path: Path) -> Path:
    """All documents, learned ones among them, in shards; one is in two of them, and one shard is empty."""
    documents = [{"id": d.id, "text": d.text} for d in corpus]
    documents.insert(40, documents[20])
    bounds = np.linspace(0, len(documents), SHARDS + 1).astype(int)
    for n, (start, end) in enumerate(itertools.pairwise(bounds)):
        write_shard(tmp_path / "items" / f"{n}.jsonl", documents[start:end])
    write_shard(tmp_path / "items" / "empty.jsonl", [])
    return tmp_path / "items"


def job_of(run: Path, files: Path, out: Path) -> Job:
    return Job(run.resolve(), out, find_shards([files]))


def grouped(rows: pa.Table, key: str, function: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """What an engine's group-by does: the function on the rows of every value, which come in any order."""
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(rows))))
    values = np.array(shuffled[key])
    return pa.concat_tables(function(shuffled.filter(pa.array(values == value))) for value in np.unique(values)[::-1])


def in_shards(job: Job) -> IdTable:
    """All of a job without an engine; the tables of its shards, one after another."""
    worker, sizes = ShardIndexer(job), load_indexer(job.run).ids.sizes
    for number in reversed(job.missing()):
        assert worker.write_part(number) == ""
    rows = pa.concat_tables(pq.read_table(job.part(n)).replace_schema_metadata() for n in range(len(job.shards)))
    rows = grouped(rows, "by_id", partial(without_repeats, names=[s.name for s in job.shards], skip_bad=False))
    rows = grouped(rows, "by_path", numbered)
    grouped(rows, "shard", partial(write_result, job=job, sizes=sizes))
    tables = [IdTable.load(job.result(n)) for n in range(len(job.shards)) if job.result(n).exists()]
    paths = np.concatenate([table.paths for table in tables])
    doc_ids = tuple(doc_id for table in tables for doc_id in table.doc_ids)
    return IdTable(doc_ids, paths[:, :-1], sizes, paths[:, -1])


def test_shards_have_the_ids_that_one_process_gives(run: Path, files: Path, tmp_path: Path):
    job = job_of(run, files, tmp_path / "out")
    assert not job.begin()
    found = in_shards(job)
    alone = load_indexer(run).index(Corpus.read([files], like=None))
    assert alone.suffix.max() > 5  # many share a path
    assert found.doc_ids == alone.doc_ids
    assert (found.paths == alone.paths).all()
    found.check()


def test_what_is_done_is_kept_and_a_changed_file_is_read_again(run: Path, files: Path, tmp_path: Path):
    job = job_of(run, files, tmp_path / "out")
    job.begin()
    worker = ShardIndexer(job)
    worker.write_part(1)
    assert job.missing() == [0, 2, 3]
    os.utime(files / "1.jsonl", ns=(1, 1))
    again = job_of(run, files, tmp_path / "out")
    assert not again.begin()
    assert again.missing() == [0, 1, 2, 3]


def test_a_folder_of_another_job_is_refused(run: Path, files: Path, tmp_path: Path):
    job = job_of(run, files, tmp_path / "out")
    job.begin()
    other = Job(job.run, job.out, job.shards, reading=("keep_empty",))
    with pytest.raises(InputError, match=r"was begun with other files, settings .*; choose another --out"):
        other.begin()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="holds no IDs in shards; choose another --out"):
        job_of(run, files, tmp_path / "mine").begin()


def test_what_is_wrong_with_a_shard_is_told_by_its_name(run: Path, files: Path, tmp_path: Path):
    (files / "1.jsonl").write_text('{"id": "a"}\n')
    job = job_of(run, files, tmp_path / "out")
    job.begin()
    fault = ShardIndexer(job).write_part(1)
    assert str(files / "1.jsonl") in fault
    assert job.missing() == [0, 1, 2, 3]


def test_an_id_with_two_texts_is_refused(run: Path, files: Path, tmp_path: Path):
    with (files / "2.jsonl").open("a") as file:
        file.write('{"id": "doc20", "text": "another rose"}\n')
    job = job_of(run, files, tmp_path / "out")
    job.begin()
    with pytest.raises(InputError, match=r"the id 'doc20' has different texts in .*0.jsonl and .*2.jsonl; rename one"):
        in_shards(job)


def test_addresses_are_found_and_copied(files: Path, tmp_path: Path):
    shards = find_shards([f"file://{files}/?.jsonl", f"file://{files}/empty.jsonl", f"file://{files}"])
    names = [shard.name.rpartition("/")[2] for shard in shards]
    assert names == ["0.jsonl", "1.jsonl", "2.jsonl", "empty.jsonl", "0.jsonl", "1.jsonl", "2.jsonl", "empty.jsonl"]
    with local_copy(shards[1]) as copy:
        assert copy != files / "1.jsonl"
        assert copy.read_bytes() == (files / "1.jsonl").read_bytes()
    assert not copy.exists()
    with pytest.raises(InputError, match="has no file that can be read; check the address"):
        find_shards([f"file://{files}/*.xml"])
    with pytest.raises(InputError, match="cannot be reached"):
        find_shards(["nowhere://bucket/*.jsonl"])


def test_options_that_do_not_go_together_are_refused(run: Path, files: Path, tmp_path: Path):
    assert "name it with --out" in lmindexer("index", run, files, "--engine", "ray").err
    assert "--workers are of --engine ray" in lmindexer("index", run, files, "--workers", 2).err


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # on a busy machine a worker never starts otherwise
    ray.init(address="local", num_cpus=2, object_store_memory=100 * 2**20, **on_ray.KEEP_QUIET)
    yield ray
    ray.shutdown()


def dying_worker(marker: Path) -> type:
    """A worker that is killed at its first shard, once of all."""

    class Dying(on_ray.Worker):
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            try:
                marker.touch(exist_ok=False)
            except FileExistsError:
                return super().__call__(batch)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("it is dead")

    return Dying


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_give_what_one_process_gives(
    cluster: Any,
    run: Path,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(on_ray, "Worker", dying_worker(tmp_path / "killed"))
    sound = (files / "1.jsonl").read_text()
    (files / "1.jsonl").write_text('{"id": "a"}\n')
    job = job_of(run, files, tmp_path / "out")
    with pytest.raises(InputError, match=r"/items/1\.jsonl has no column 'text'"):
        on_ray.index_on_ray(job, 2)
    assert (tmp_path / "killed").exists()
    assert job.missing() == [1]  # also the shard of the one that was killed is done
    kept = {n: job.part(n).stat().st_mtime_ns for n in (0, 2, 3)}

    (files / "1.jsonl").write_text(sound)
    job = job_of(run, files, tmp_path / "out")
    monkeypatch.setattr(Job, "finish", lambda job: None)
    indexed = on_ray.index_on_ray(job, 2)
    assert {n: job.part(n).stat().st_mtime_ns for n in kept} == kept
    monkeypatch.undo()
    alone = load_indexer(run).index(Corpus.read([files]))
    tables = [IdTable.load(job.result(n)) for n in range(3)]
    assert sum((table.doc_ids for table in tables), ()) == alone.doc_ids
    assert (np.concatenate([table.paths for table in tables]) == alone.paths).all()
    assert indexed is not None
    assert (indexed.documents, indexed.new) == (80, 68)
    assert "1 records have the id of one in an earlier file and are left out" in indexed.notes

    job.finish()
    assert on_ray.index_on_ray(job_of(run, files, tmp_path / "out"), 2) is None
    assert sorted(path.suffix for path in job.out.iterdir() if path.suffix) == [".json"] + 3 * [".parquet"]
