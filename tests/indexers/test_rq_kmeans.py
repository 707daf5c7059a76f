"""Residual K-means."""

import numpy as np
import torch

from lmindexer.config import from_mapping
from lmindexer.indexers.rq_kmeans import ResidualKMeans
from lmindexer.progress import Progress


def test_two_directions_then_the_rest_by_hand():
    corners = torch.tensor([[1.0, 0.2, 0, 0], [1, -0.2, 0, 0], [0, 0, 1, 0.2], [0, 0, 1, -0.2]])
    lengths = torch.tensor([1.0, 2, 3])  # only the direction of a vector counts
    vectors = (corners[:, None] * lengths[:, None]).reshape(12, 4)
    quantiser = ResidualKMeans.fit(vectors, from_mapping({"sizes": (2, 4)}), Progress(None))
    by_corner = quantiser.codes(vectors).reshape(4, 3, 2)
    assert (by_corner == by_corner[:, :1]).all(), "all lengths of a corner have one path"
    first, paths = by_corner[:, 0, 0], {tuple(code) for code in by_corner[:, 0].tolist()}
    assert first[0] == first[1] != first[2] == first[3]
    assert len(paths) == 4


def test_every_book_brings_the_sum_of_centres_closer():
    vectors = torch.nn.functional.normalize(torch.randn(500, 8, generator=torch.Generator().manual_seed(0)))
    quantiser = ResidualKMeans.fit(vectors, from_mapping({"sizes": (16, 8, 4)}), Progress(None))
    codes, rest, left = quantiser.codes(vectors), vectors, [1.0]
    for t, book in enumerate(quantiser.books):
        rest = rest - book[codes[:, t]]
        left.append(rest.square().sum(1).mean().item())
    assert np.all(np.diff(left) < 0)
