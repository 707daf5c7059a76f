"""IDs of sharded documents on many machines, by Ray Data: one model a worker, and group-bys that make IDs unique."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmindexer.errors import InputError
from lmindexer.extras import optional
from lmindexer.indexers.shards import Job, ShardIndexer, numbered, without_repeats, write_result
from lmindexer.indexers.store import load_ids
from lmindexer.progress import Progress
from lmindexer.runs import Run, writing

KEEP_QUIET = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Indexed:
    """What was written: documents, how many of them are new to the run, and what a user should know."""

    documents: int
    new: int
    notes: tuple[str, ...]


def index_on_ray(job: Job, workers: int | None = None, progress: Progress | None = None) -> Indexed | None:
    """Write the IDs of a job's shards into its folder, a Parquet file a shard; None where that was done before.

    The same call goes on where an earlier one was stopped: shards that have their codes are not read again. A worker
    that dies is replaced, and its shard is begun again. `workers` is the number of models, by default one a GPU, or
    one a processor where there is none. The cluster is the one that this process or RAY_ADDRESS names, else this
    machine.

    Raises:
        InputError: for a shard that cannot be read, after all others are done; or an id with two texts.
    """
    ray = optional("ray", "--engine ray", "ray")
    optional("ray.data", "--engine ray", "ray")
    progress = progress or Progress(None)
    with writing(job.out, wait=False, make=True):
        if job.begin():
            return None
        with _cluster(ray, workers), _quiet(ray):
            _write_parts(ray, job, workers, progress)
            progress.say("making the IDs unique")
            written = _write_results(ray, job)
        read = [job.facts_of(n) for n in range(len(job.shards))]
        documents, new = (sum(row[name] for row in written) for name in ("documents", "new"))
        notes = [
            f"{shard.name}: {note}" for shard, facts in zip(job.shards, read, strict=True) for note in facts["notes"]
        ]
        if repeated := sum(facts["documents"] for facts in read) - documents:
            notes.append(f"{repeated:,} records have the id of one in an earlier file and are left out")
        job.finish()
    return Indexed(documents, new, tuple(notes))


class Worker(ShardIndexer):
    """A stateful actor of Ray Data: batches of shard numbers in, what was wrong with each out."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"shard": batch["item"], "fault": [self.write_part(int(number)) for number in batch["item"]]}


def _write_parts(ray: Any, job: Job, workers: int | None, progress: Progress) -> None:
    """The codes of every shard that has none. Raises InputError with the first fault, when all others are done."""
    missing, faults = job.missing(), list[tuple[int, str]]()
    if not missing:
        return
    processors, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
    if workers is not None and workers > processors:
        raise InputError(f"the cluster has {processors} processors, too few for --workers {workers}; give fewer")
    size = min(workers or gpus or processors, len(missing))
    shards = ray.data.from_items(missing, override_num_blocks=len(missing)).map_batches(
        Worker, fn_constructor_args=(job,), batch_size=1, num_cpus=1, num_gpus=1 if gpus >= size else 0,
        compute=ray.data.ActorPoolStrategy(size=size), max_restarts=-1, max_task_retries=-1,
    )  # fmt: skip
    done = len(job.shards) - len(missing)
    for row in _rows(shards):
        faults += [(row["shard"], row["fault"])] if row["fault"] else []
        done += 1
        progress.count("giving codes", done, len(job.shards), "shards")
    if faults:
        raise InputError(min(faults)[1])


def _write_results(ray: Any, job: Job) -> list[dict[str, int]]:
    """Three group-bys: ids that are there twice, numbers that tell equal paths apart, and back into shards."""
    empty = [not job.facts_of(n)["documents"] for n in range(len(job.shards))]
    parts = [str(job.part(n)) for n in range(len(job.shards)) if not empty[n]]
    if not parts:
        raise InputError(f"there are no documents in {job.shards[0].name} and the other files; give at least one")
    sizes = load_ids(Run.open(job.run)).sizes
    few = min(len(parts), max(int(ray.cluster_resources()["CPU"]), 1) * 4)  # partitions of a shuffle
    names = tuple(shard.name for shard in job.shards)
    rows = ray.data.read_parquet(parts)
    for key, function in (
        ("by_id", partial(without_repeats, names=names, skip_bad="skip_bad" in job.reading)),
        ("by_path", numbered),
        ("shard", partial(write_result, job=job, sizes=sizes)),
    ):
        rows = rows.groupby(key, num_partitions=few).map_groups(function, batch_format="pyarrow")
    return list(_rows(rows))


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """The rows of a data set. Raises the InputError that a worker raised, as itself."""
    try:
        yield from dataset.iter_rows()
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, InputError):
                raise InputError(*cause.args) from None
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise


@contextmanager
def _cluster(ray: Any, workers: int | None) -> Iterator[None]:
    """The cluster that is there, or one of this machine that goes at the end."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what a user does
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**KEEP_QUIET)
    else:
        ray.init(address="local", num_cpus=max(workers or 0, os.cpu_count() or 1), **KEEP_QUIET)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Ray Data says nothing of its own: `progress` does."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = before[0]
        log.setLevel(before[1])
