"""What words tell of a group of documents: the one rule for the tree, the page and Figure 3."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmindexer.corpus.words import INDIC, SIGN, words_of
from lmindexer.ids.table import path_ids

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PRIOR_SHARE = 0.01  # of the words counted; more would favour rare names, less common words
TELLING = re.compile(rf"[^\W\d_]{{3,}}|[{INDIC}]{{3,}}|(?:{SIGN}){{2}}")  # three letters, or two signs of Chinese
SMALLEST_WITH_WORDS = 2  # documents of a group; of a single one any word tells, so its text says more than they do


@dataclass(frozen=True)
class WordCounts:
    """Which document has which word."""

    matrix: "csr_matrix"  # (N, V) of 0 and 1
    words: np.ndarray  # (V,)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "WordCounts":
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

        def telling(text: str) -> list[str]:
            return [word for word in words_of(text) if TELLING.fullmatch(word) and word not in ENGLISH_STOP_WORDS]

        vectorizer = CountVectorizer(analyzer=telling, binary=True)
        if not any(telling(text) for text in texts):  # scikit-learn refuses texts of stop words and numbers only
            return cls(csr_matrix((len(texts), 0), dtype=np.int64), np.array([], dtype=str))
        matrix = vectorizer.fit_transform(texts)
        return cls(matrix, vectorizer.get_feature_names_out())

    def select(self, rows: np.ndarray) -> "WordCounts":
        """The counts of these documents."""
        return WordCounts(self.matrix[rows], self.words)

    def only_used(self) -> "WordCounts":
        """Drop the words that none of the documents has: thousands of small nodes must not cost V steps apiece."""
        from scipy.sparse import csr_matrix

        used, column = np.unique(self.matrix.indices, return_inverse=True)
        matrix = csr_matrix((self.matrix.data, column, self.matrix.indptr), shape=(self.matrix.shape[0], len(used)))
        return WordCounts(matrix, self.words[used])


def telling_words(counts: WordCounts, groups: np.ndarray, most: int = 6) -> dict[int, list[str]]:
    """The words which are more frequent in each of `groups` (N,) than outside it, strongest first.

    Documents count a word once. The score is the z of the weighted log-odds with an informative Dirichlet
    prior (Monroe, Colaresi and Quinn 2008), here with rates for odds. A group without an outside has none, nor
    has one of fewer than SMALLEST_WITH_WORDS documents. Only words which a group has are scored, so all stays sparse.
    """
    from scipy.sparse import csr_matrix

    found, number = np.unique(groups, return_inverse=True)
    G, N = len(found), len(groups)
    members = csr_matrix((np.ones(N, dtype=np.int64), (number, np.arange(N))), shape=(G, N))
    inside = (members @ counts.matrix).tocsr()  # (G, V): in how many of the group's documents each word is
    total = np.asarray(counts.matrix.sum(axis=0)).ravel()  # (V,)
    group_of, word_of = np.repeat(np.arange(G), np.diff(inside.indptr)), inside.indices

    within, outside = inside.data, total[word_of] - inside.data
    inside_all = np.asarray(inside.sum(axis=1)).ravel()[group_of]
    outside_all = total.sum() - inside_all
    prior, prior_all = PRIOR_SHARE * total[word_of], PRIOR_SHARE * total.sum()
    log_ratio = np.log((within + prior) / (inside_all + prior_all)) - np.log(
        (outside + prior) / (outside_all + prior_all)
    )
    scores = log_ratio / np.sqrt(1 / (within + prior) + 1 / (outside + prior))

    sizes = np.bincount(number, minlength=G)
    telling: dict[int, list[str]] = {code: [] for code in found.tolist()}
    for group, code in enumerate(found.tolist()):
        if sizes[group] < SMALLEST_WITH_WORDS:
            continue
        place = slice(inside.indptr[group], inside.indptr[group + 1])
        strongest = np.lexsort((word_of[place], -scores[place]))[:most]
        telling[code] = [str(counts.words[word]) for word in word_of[place][strongest[scores[place][strongest] > 1e-9]]]
    return telling


def words_of_all(counts: WordCounts, codes: np.ndarray) -> list[list[list[str]]]:
    """What tells each node from its siblings: by position, then by node in the order of the paths."""
    by_position = []
    for t in range(codes.shape[1]):
        parent, node = path_ids(codes[:, :t]), path_ids(codes[:, : t + 1])
        words: list[list[str]] = [[] for _ in range(node.max() + 1)]
        sizes = np.bincount(node)
        for rows in np.split(np.argsort(parent, kind="stable"), np.cumsum(np.bincount(parent))[:-1]):
            node_sizes = sizes[node[rows]]
            if node_sizes.max() < SMALLEST_WITH_WORDS or node_sizes[0] == len(rows):
                continue  # no node here has words: all too small, or an only child with nothing to be told from
            for number, telling in telling_words(counts.select(rows).only_used(), node[rows]).items():
                words[number] = telling
        by_position.append(words)
    return by_position
