"""Which n-grams of a document a query is taught to give: those that share words with it (section 3.2 of the paper)."""

from collections.abc import Iterable

import numpy as np

from lmindexer.methods.seal.index import END, NgramIndex

SPANS = 4  # of each document that are read, as published: three of them to give another, one to give the title


def rarity(index: NgramIndex) -> np.ndarray:
    """(C + 1,) float32: -log of the share of the documents that hold each token, in nats; END has none."""
    documents = index.documents_at(np.arange(len(index.text)))
    held = np.unique(documents * (len(index.token_ids) + 1) + index.text)  # pairs of a document and a token of it
    count = np.bincount(held % (len(index.token_ids) + 1), minlength=len(index.token_ids) + 1)
    nats = -np.log(np.maximum(count, 1) / (len(index.starts) - 1)).astype(np.float32)
    nats[END] = 0
    return nats


def sample_starts(
    index: NgramIndex,
    queries: list[np.ndarray],
    rows: np.ndarray,
    length: int,
    samples: int,
    temperature: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where in the text n-grams begin that E queries are to give, (E, samples) int64, drawn with replacement.

    Query e, a list of token numbers, is answered by document `rows[e]`. An n-gram's overlap is the sum of the `rarity`
    of those of its tokens that the query has; it is drawn in proportion to exp(overlap / temperature). The paper
    compares characters of words; tokens are what the index has.
    """
    nats = rarity(index)
    shared = np.zeros(len(nats), np.float32)
    starts = np.repeat(index.starts[rows, None], samples, 1)
    for e, (query, row) in enumerate(zip(queries, rows.tolist(), strict=True)):
        document = index.text[index.starts[row] : index.starts[row + 1] - 1]
        shared[query] = nats[query]
        worth = np.append(shared[document], np.zeros(length, np.float32))
        shared[query] = 0
        places = max(len(document) - length + 1, 1)
        overlaps = np.convolve(worth, np.ones(length, np.float32), "valid")[:places]
        likely = np.exp((overlaps - overlaps.max()) / temperature) * (document[:places] != END)
        if likely.any():
            cumulated = np.cumsum(likely)
            starts[e] += np.searchsorted(cumulated / cumulated[-1], rng.random(samples), side="right")
    return starts


def sample_spans(texts: Iterable[str], words: int, rng: np.random.Generator) -> list[str]:
    """SPANS parts of each text, of so many words or all that there are; those of a text side by side."""
    spans = []
    for text in texts:
        parts = text.split()
        for at in rng.integers(max(len(parts) - words, 0) + 1, size=SPANS).tolist():
            spans.append(" ".join(parts[at : at + words]))
    return spans


def starts_in_documents(index: NgramIndex, length: int, rng: np.random.Generator) -> np.ndarray:
    """Where the n-grams begin that the spans of each document are to give, (N, SPANS) int64.

    The last one of a document is its beginning, where a title stands.
    """
    room = np.maximum(np.diff(index.starts)[:, None] - length, 1)
    starts = index.starts[:-1, None] + (rng.random((len(room), SPANS)) * room).astype(np.int64)
    starts[:, -1] = index.starts[:-1]
    return starts
