"""Fine-tune a run's model for a task, from files (section 3.3): what `lmindexer finetune` does."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.files import write_atomically
from lmindexer.indexers.store import load_documents
from lmindexer.progress import Progress
from lmindexer.retrievers.finetuned import CONFIG, is_finetuned, read_config
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.recommender import GenerativeRecommender
from lmindexer.retrievers.registry import generative
from lmindexer.runs import Run
from lmindexer.settings import parse, to_toml
from lmindexer.tasks.examples import RecommendTask, SearchTask, Task
from lmindexer.tasks.queries import Queries, load_queries, save_queries, splits_of
from lmindexer.tasks.sequences import load_sequences, save_sequences
from lmindexer.tasks.train import train

QUERIES, SEQUENCES = "queries.jsonl", "sequences.jsonl"  # of the task, kept in the run
OF_THE_INDEXER = (
    "documents.parquet",
    "ids.parquet",
    "ids.jsonl",
    "indexer.safetensors",
    "reconstructor.safetensors",
    "quantiser.safetensors",
    "report.json",
    "curves.png",
)


def finetune(
    run: str | Path,
    out: str | Path,
    *,
    sequences: str | Path | None = None,
    queries: str | Path | None = None,
    qrels: str | Path | None = None,
    pseudo: Sequence[str | Path] = (),
    sources: Sequence[str] = (),
    config: FinetuneConfig | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> GenerativeRetriever | GenerativeRecommender:
    """Teach the model of `run` to recommend from `sequences`, or to search from `queries`; the new run is `out`.

    `finetune(run, out, sequences="sequences.txt.gz", epochs=5)` takes every setting of `FinetuneConfig`. The new
    run has all that `run` has, and the task's data: every verb works on it. `pseudo` are files of pseudo-queries
    to train on, too; with `sources` only those of these marks.

    Raises:
        InputError: for files that do not fit the run's documents, a setting out of range, or `out` that exists
            (or, with `resume`, does not hold this fine-tuning).
    """
    run, out, progress = Path(run), Path(out), progress or Progress()
    config = config or parse(FinetuneConfig, {"task": "recommend" if sequences else "search"} | settings)
    source = Run.open(run)
    if is_finetuned(run):
        raise InputError(f"{run} is fine-tuned already; name the run of the indexer it was made from")
    if not (resume and Run.is_begun(out)):
        Run.check_free(out)
    corpus = load_documents(source)
    task: Task
    if config.task == "recommend":
        if sequences is None or queries is not None or pseudo:
            raise InputError("the task recommend learns from SEQUENCES alone: a file of users and what they took")
        taken = load_sequences(Path(sequences), corpus.doc_ids)
        task = RecommendTask(taken, corpus, config)
        folder = _begin(source, config, out, resume)
        save_sequences(taken, corpus.doc_ids, out / SEQUENCES)
    else:
        if sequences is not None or (queries is None and not pseudo):
            raise InputError("the task search learns from --queries, --pseudo, or both; name at least one")
        task = _search_task(corpus, config, queries, qrels, pseudo, sources)
        folder = _begin(source, config, out, resume)
        save_queries(out / QUERIES, task.queries)
    train(folder, task, resume=resume, progress=progress)
    found = generative(out)
    assert isinstance(found, GenerativeRetriever | GenerativeRecommender)
    return found


def _search_task(
    corpus: Corpus,
    config: FinetuneConfig,
    queries: str | Path | None,
    qrels: str | Path | None,
    pseudo: Sequence[str | Path],
    sources: Sequence[str],
) -> SearchTask:
    made = [load_queries(Path(file), None, "train", corpus.doc_ids, sources) for file in pseudo]
    if queries is None:
        return SearchTask(made, {}, corpus, config)
    judgements = None if qrels is None else Path(qrels)
    splits = splits_of(Path(queries), judgements)
    if splits and "train" not in splits:
        raise InputError(f"{queries} has no split 'train' to learn from, only {', '.join(map(repr, sorted(splits)))}")
    own: dict[str, Queries] = {
        split: load_queries(Path(queries), judgements, split, corpus.doc_ids)
        for split in ("train", "dev", "test")
        if split in splits or (split == "train" and not splits)
    }
    return SearchTask([own["train"], *made], own, corpus, config)


def _begin(source: Run, config: FinetuneConfig, out: Path, resume: bool) -> Run:
    """The folder `out`, with all that the run has; with `resume` the one that was begun there, if it is the same.

    Raises InputError when `out` holds something else.
    """
    run = source.path
    if resume and Run.is_begun(out):
        new = Run.open(out, finished=False)
        if "indexed_by" not in new.facts or new.facts["corpus"] != source.facts["corpus"]:
            raise InputError(f"{out} was not begun from {run}; choose another --out")
        if is_finetuned(out):
            if read_config(out) != config:
                raise InputError(f"{out} was begun with other settings; resume without changing any")
            return new
    else:
        new = Run.create(out, source.config, source.facts | {"state": "learning", "indexed_by": str(run)})
    for name in OF_THE_INDEXER:
        if (run / name).exists():
            write_atomically(out / name, partial(shutil.copyfile, run / name))
    if (run / "backbone").is_dir():
        shutil.copytree(run / "backbone", out / "backbone", dirs_exist_ok=True)
    new.write_text(CONFIG, to_toml(config))
    new.write_json("run.json", new.facts | {"state": "fine-tuning"})  # the indexer's part is whole
    return new
