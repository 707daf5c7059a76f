"""Which n-grams of a document a query is taught to give: those that share words with it (section 3.2 of the paper)."""

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


def sample_spans(index: NgramIndex, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of each document where spans begin that are read, and the n-grams that they are to give: (N, SPANS) int64 each.

    The last of each document is to give its beginning, where a title stands.
    """
    starts, lengths = index.starts[:-1, None], np.diff(index.starts)[:, None] - 1
    room = np.maximum(lengths - length + 1, 1)
    read, give = (starts + (rng.random((len(starts), SPANS)) * room).astype(np.int64) for _ in range(2))
    give[:, -1] = index.starts[:-1]
    return read, give
