"""Pseudo-queries for all systems of a table alike, as docT5query gives the paper's."""

from collections.abc import Iterable
from pathlib import Path

from lmindexer.corpus.documents import Corpus
from lmindexer.questions.pseudo_queries import check_ways, pseudo_queries, write_pseudo_queries

PER_DOCUMENT = 3  # of each way, as lmindexer pseudo has it


def pseudo_files(named: Iterable[str], corpus: Corpus, folder: Path) -> tuple[Path, ...]:
    """Files as they are; ways, such as `title,spans,words`, as a file made of the documents in `folder`, once."""
    found = []
    for name in named:
        if Path(name).exists():
            found.append(Path(name))
            continue
        ways = [way.strip() for way in name.split(",") if way.strip()]
        check_ways(ways)
        file = folder / f"pseudo-{'-'.join(ways)}-{corpus.fingerprint[:8]}.jsonl"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_pseudo_queries(file, pseudo_queries(corpus, ways, PER_DOCUMENT, 0))
        found.append(file)
    return tuple(found)
