"""Fine-tune a run's model for a task, from files or data in memory (section 3.3): what `lmindexer finetune` does."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lmindexer import parallel
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError, check_list
from lmindexer.evaluation.metrics import parse_metric
from lmindexer.files import write_atomically
from lmindexer.indexers.kept_vectors import AXES, VECTORS
from lmindexer.indexers.store import has_ids, load_documents
from lmindexer.methods.dense import KEPT
from lmindexer.methods.registry import HISTORY, METHODS, TEXT, load_retriever
from lmindexer.methods.retriever import Retriever
from lmindexer.methods.taught import CONFIG, is_finetuned, read_config
from lmindexer.methods.teachable import Choosable
from lmindexer.progress import Progress
from lmindexer.questions.histories import HistoryData
from lmindexer.questions.queries import QUERIES, Queries, QueryData, load_queries, save_queries
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.sequence_files import SEQUENCES, load_sequences, save_sequences
from lmindexer.questions.splits import beginnings, load_splits
from lmindexer.questions.task import Task
from lmindexer.runs import Run, writing
from lmindexer.settings import check_counting, parse, same_settings, to_toml
from lmindexer.teaching.choose import choose
from lmindexer.teaching.train import train

OF_THE_INDEXER = (
    "documents.parquet",
    "ids.parquet",
    "ids.jsonl",
    "indexer.safetensors",
    "reconstructor.safetensors",
    "quantiser.safetensors",
    "report.json",
    "curves.png",
    KEPT,
    VECTORS,
    AXES,
)


def finetune(
    run: str | Path,
    out: str | Path,
    *,
    sequences: HistoryData | None = None,
    queries: QueryData | str | Path | None = None,
    dev: QueryData | None = None,
    test: QueryData | None = None,
    qrels: str | Path | None = None,
    pseudo: Sequence[str | Path] = (),
    sources: Sequence[str] = (),
    keep_going: bool = False,
    config: FinetuneConfig | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Retriever:
    """Teach the model of `run` to recommend from `sequences`, or to search from `queries`; the new run is `out`.

    `finetune(run, out, sequences="sequences.txt.gz", epochs=5)` takes every setting of `FinetuneConfig`. The new
    run has all that `run` has, and the task's data: every verb works on it. Data in memory are as `Histories.of` and
    `Queries.of` say: then `queries` are all learned from, `dev` chosen by and `test` kept to be asked; files of queries
    name their splits themselves. `pseudo` are files of pseudo-queries to train on, too; with `sources` only those of
    these marks. With `keep_going`, most of what users took may be of unknown documents.

    Raises:
        InputError: for files that do not fit the run's documents, a setting out of range, or `out` that exists
            (or, with `resume`, does not hold this fine-tuning).
    """
    check_list(pseudo, "the files of pseudo=")
    check_list(sources, "the marks of sources=")
    run, out, progress = Path(run), Path(out), progress or Progress()
    if config is not None and settings:
        raise InputError("give finetune either a FinetuneConfig or keywords, not both")
    config = config or parse(FinetuneConfig, {"task": "search" if sequences is None else "recommend"} | settings)
    check_counting(config, settings, "the settings")
    parse_metric(config.dev_metric)
    if config.method != "generative":
        parallel.refuse(f"--method {config.method}")
    if config.reads_vectors:
        parallel.refuse(f"a reader of histories with --items {config.items}")
    if config.dense_loss:
        parallel.refuse("--dense-loss")
    parallel.join()
    kind = HISTORY if config.task == "recommend" else TEXT
    if kind not in METHODS[config.method].reads:
        if kind == HISTORY:
            raise InputError(f"{config.method} searches; name the --queries that it learns from, and no SEQUENCES")
        raise InputError(f"{config.method} recommends; name the SEQUENCES that it learns from, and no queries")
    source = Run.open(run)
    if is_finetuned(run):
        made_from = source.facts.get("indexed_by", "the run of the indexer")
        raise InputError(f"{run} is fine-tuned already; name the run that it was made from, {made_from}")
    if not (resume and Run.is_begun(out)):
        Run.check_free(out)
    corpus = load_documents(source)
    task: RecommendTask | SearchTask
    if config.task == "recommend":
        others = (queries, dev, test, qrels)
        if sequences is None or any(data is not None for data in others) or pseudo or sources:
            raise InputError("the task recommend learns from SEQUENCES alone: a file of users and what they took")
        task = RecommendTask(load_sequences(sequences, corpus.doc_ids, keep_going=keep_going), corpus, config)
    else:
        if sequences is not None or (queries is None and not pseudo):
            raise InputError("the task search learns from --queries, --pseudo, or both; name at least one")
        if (qrels is not None and queries is None) or (sources and not pseudo):
            raise InputError("--qrels go with --queries, and --sources with --pseudo; name the file they belong to")
        made = [load_queries(Path(file), None, "train", corpus.doc_ids, sources, answerable=True) for file in pseudo]
        splits = splits_of_data(corpus, queries, qrels, {"dev": dev, "test": test})
        train_on = [splits["train"], *made] if "train" in splits else made
        task = SearchTask(train_on, splits, corpus, config)
    begun = _begun(source, config, task, out) if resume and Run.is_begun(out) else None
    parallel.wait()  # nobody writes before all have looked
    with writing(out, wait=False, make=True) if parallel.is_first() else nullcontext():
        return _teach(source, config, task, out, begun, resume, progress)


def _teach(
    source: Run,
    config: FinetuneConfig,
    task: RecommendTask | SearchTask,
    out: Path,
    begun: Run | None,
    resume: bool,
    progress: Progress,
) -> Retriever:
    """Begin or go on in `out`, by the only one that writes there, and those that learn beside it."""
    if begun is not None and begun.facts["state"] == "finished":
        progress.say(f"{out} is finished already")
        return load_retriever(out)
    if begun is not None and "bf16" in begun.facts:  # as it began, whatever this machine would choose
        config = replace(config, precision="bf16" if begun.bf16 else "fp32")
    model = METHODS[config.method].begin(source, config)  # what cannot be is refused while there is no folder yet
    progress.note(*model.unseen(task))
    if parallel.is_first():
        folder = begun if begun is not None and is_finetuned(out) else _make(source, config, task, out, begun)
        if not isinstance(model, Choosable):
            folder.update(bf16=model.bf16)
        if isinstance(task, RecommendTask):
            save_sequences(task.sequences, task.corpus.doc_ids, out / SEQUENCES)
        else:
            save_queries(out / QUERIES, task.queries)
    parallel.wait()
    folder = Run.open(out, finished=False)
    if isinstance(model, Choosable):
        choose(folder, model, task, progress)
    else:
        train(folder, model, task, progress, resume=resume)
    return load_retriever(out) if parallel.is_first() else model.retriever()  # which others have from memory


def splits_of_data(
    corpus: Corpus,
    queries: QueryData | str | Path | None,
    qrels: str | Path | None,
    others: Mapping[str, QueryData | None],
) -> dict[str, Queries]:
    """The queries by split, with `others` beside those to learn from where they are in memory; none of None."""
    in_memory = {split: data for split, data in others.items() if data is not None}
    if isinstance(queries, str | Path):
        if in_memory:
            raise InputError(f"{queries} names its splits itself; leave out {next(iter(in_memory))}=")
        return load_splits(Path(queries), None if qrels is None else Path(qrels), corpus.row_of)
    if qrels is not None:
        raise InputError("qrels belong to a file of queries; name that, too, or give {text: {id: grade}}")
    if queries is not None:
        in_memory = {"train": queries} | in_memory
    splits = {
        split: Queries.of(data, documents=corpus.row_of, answerable=split == "train")
        for split, data in in_memory.items()
    }
    if "train" in splits and "dev" not in splits and len(splits["train"]) == 1:
        splits["dev"] = beginnings(splits["train"], corpus)
    notes = tuple(f"{split}: {note}" for split in ("dev", "test") if split in splits for note in splits[split].notes)
    if "train" in splits:
        splits["train"] = replace(splits["train"], notes=splits["train"].notes + notes)
    return splits


def _begun(source: Run, config: FinetuneConfig, task: Task, out: Path) -> Run:
    """The fine-tuning begun in `out`. Raises InputError when it is of another run, task or settings."""
    new = Run.open(out, finished=False)
    if new.facts.get("began_with") != _identity(source):
        raise InputError(f"{out} was not begun from {source.path}; choose another --out")
    if is_finetuned(out) and not same_settings(read_config(out), config):
        raise InputError(f"{out} was begun with other settings; resume without changing any")
    if new.facts.get("learns_from") != task.fingerprint:
        raise InputError(
            f"{out} was begun with other data to learn from; resume with the same, or choose another --out"
        )
    return new


def _identity(run: Run) -> str:
    """The same for the same IDs, learned with the same settings."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("config.toml", "ids.jsonl", "indexer.safetensors", "quantiser.safetensors"):
        if run.has(name):
            digest.update(run.file(name).read_bytes())
    if not has_ids(run):
        digest.update(run.facts["corpus"]["fingerprint"].encode())
    return digest.hexdigest()


def _make(source: Run, config: FinetuneConfig, task: Task, out: Path, begun: Run | None) -> Run:
    """The folder `out`, with all that the run has; where this was stopped in the middle, it is `begun`."""
    facts: dict[str, Any] = {"indexed_by": str(source.path), "began_with": _identity(source)}
    facts |= {"state": "learning", "learns_from": task.fingerprint, "files": {}}
    new = begun or Run.create(out, source.config, source.facts | facts)
    for name in OF_THE_INDEXER:
        if source.has(name):
            write_atomically(out / name, partial(shutil.copyfile, source.file(name)))
    if (backbone := source.folder("backbone")) is not None:
        shutil.copytree(backbone, out / "backbone", dirs_exist_ok=True)
    new.write_text(CONFIG, to_toml(config))
    new.update(state="fine-tuning")  # the indexer's part is whole
    return new
