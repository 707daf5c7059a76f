"""A run for the language models that people have: IDs as tokens, pairs to fine-tune on, and which IDs exist.

The trie of all IDs is in safetensors, level by level. `codes.t` (n_t,) are the codes of the nodes of level t, nodes in
the order of their paths; `start.t` (n_(t-1) + 1,) says where the children of each node above begin in it: those of node
m are `codes.t[start.t[m] : start.t[m + 1]]`, ascending. Level 0 has one node above it, the root. `sizes` (T,) are how
many codes, and so tokens, each position has; the last position is the suffix.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lmindexer.errors import InputError
from lmindexer.files import json_text, write_folder, write_text
from lmindexer.ids.formats import position_letters
from lmindexer.ids.table import IdTable
from lmindexer.ids.trie import Level, Trie
from lmindexer.indexers.store import documents_and_ids
from lmindexer.questions.queries import QUERIES, Queries
from lmindexer.questions.sequence_files import SEQUENCES, load_taught
from lmindexer.questions.sequences import training_examples
from lmindexer.runs import Run

TRIE = "trie.safetensors"
Pair = tuple[str, str]  # what a model reads, and what it is to answer


def sizes_of(ids: IdTable) -> tuple[int, ...]:
    """How many codes each position of the IDs has, the suffix last."""
    return (*ids.sizes, int(ids.paths[:, -1].max()) + 1)


def token_names(sizes: Iterable[int]) -> list[list[str]]:
    """The tokens of each position: <a_0>, <a_1>, ... of the first, <b_0>, ... of the second."""
    sizes = list(sizes)
    letters = position_letters(len(sizes))
    return [[f"<{letter}_{code}>" for code in range(size)] for letter, size in zip(letters, sizes, strict=True)]


def write_tokens(run: Run, out: Path) -> dict[str, int]:
    """A folder with tokens.json, ids.jsonl, the trie, and pairs to learn from; returns how many lines each file has.

    Pairs are {"prompt": ..., "completion": ...}: of documents their text, and of what the run was taught the training
    queries or histories, with the ID as completion. Raises InputError where something else stands at `out`.
    """
    if out.exists() and not (out / TRIE).is_file():
        raise InputError(f"{out} exists already and was not written by lmindexer export; choose another --out")
    corpus, ids = documents_and_ids(run)
    names = token_names(sizes_of(ids))
    paths = ("".join(names[t][code] for t, code in enumerate(path)) for path in ids.paths.tolist())
    tokens = dict(zip(ids.doc_ids, paths, strict=True))
    pairs: dict[str, Iterable[Pair]] = {"documents.jsonl": zip(corpus.texts(), tokens.values(), strict=True)}
    if run.has(QUERIES):
        pairs["queries.jsonl"] = _of_queries(Queries.read(run.file(QUERIES), "train"), tokens)
    if run.has(SEQUENCES):
        pairs["histories.jsonl"] = _of_histories(run, list(tokens.values()), ids)
    files = {
        name: [{"prompt": prompt, "completion": answer} for prompt, answer in some] for name, some in pairs.items()
    }
    files["ids.jsonl"] = [{"id": doc_id, "tokens": path} for doc_id, path in tokens.items()]

    def write(folder: Path) -> None:
        folder.mkdir()
        write_text(
            folder / "tokens.json", json_text([name for position in names for name in position], indent=0) + "\n"
        )
        for name, records in files.items():
            write_text(folder / name, "".join(json_text(record, ensure_ascii=False) + "\n" for record in records))
        save_trie(Trie.of(ids.paths, sizes_of(ids)), folder / TRIE)

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, write)
    return {name: len(records) for name, records in files.items()}


def _of_queries(queries: Queries, tokens: dict[str, str]) -> Iterator[Pair]:
    """Each query with each document that is relevant to it and still there."""
    for text, relevant in zip(queries.texts, queries.relevant, strict=True):
        for doc_id in relevant:
            if doc_id in tokens:
                yield text, tokens[doc_id]


def _of_histories(run: Run, tokens: list[str], ids: IdTable) -> Iterator[Pair]:
    """What each user took before an item, and the item: of the training part alone."""
    examples = training_examples(load_taught(run.file(SEQUENCES), ids.doc_ids))
    for e, target in enumerate(examples.target.tolist()):
        yield "".join(tokens[row] for row in examples.history(e).tolist()), tokens[target]


def save_trie(trie: Trie, path: Path) -> None:
    """The CSR arrays of a trie, as the head of this file describes them."""
    arrays = {"sizes": torch.tensor(trie.sizes, dtype=torch.int64)}
    for t, level in enumerate(trie.levels):
        arrays |= {f"start.{t}": level.start.contiguous(), f"codes.{t}": level.code.contiguous()}
    save_file(arrays, path)


def load_trie(path: Path) -> tuple[tuple[int, ...], tuple[Level, ...]]:
    """Sizes and levels that `save_trie` wrote. Raises InputError for another file."""
    try:
        arrays = load_file(path)
        sizes = tuple(arrays["sizes"].tolist())
        levels = tuple(Level.of(arrays[f"start.{t}"], arrays[f"codes.{t}"]) for t in range(len(sizes)))
        above = 1
        for size, level in zip(sizes, levels, strict=True):
            if not _is_level(level, above, size):
                raise ValueError("its arrays do not belong together")
            above = len(level.code)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is no trie that lmindexer exported ({error}); export it anew") from None
    return sizes, levels


def _is_level(level: Level, above: int, size: int) -> bool:
    """Whether the arrays can be those of a level below so many nodes, with codes of this size."""
    start, codes = level.start.numpy(), level.code.numpy()
    whole = len(start) == above + 1 and start[0] == 0 and start[-1] == len(codes) and bool((np.diff(start) > 0).all())
    return whole and bool(((codes >= 0) & (codes < size)).all())
