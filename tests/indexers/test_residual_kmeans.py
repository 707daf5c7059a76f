"""Embed, then quantise: the two-step way."""

import numpy as np
import torch

from lmindexer.indexers.residual_kmeans import residual_kmeans


def test_two_directions_then_the_rest_by_hand():
    corners = torch.tensor([[1.0, 0.2, 0, 0], [1, -0.2, 0, 0], [0, 0, 1, 0.2], [0, 0, 1, -0.2]])
    lengths = torch.tensor([1.0, 2, 3])  # only the direction of an embedding counts
    embeddings = (corners[:, None] * lengths[:, None]).reshape(12, 4)
    codes = residual_kmeans(embeddings, (2, 4), seed=0)
    assert codes.dtype == np.int32
    by_corner = codes.reshape(4, 3, 2)
    assert (by_corner == by_corner[:, :1]).all(), "all lengths of a corner have one path"
    first, path = by_corner[:, 0, 0], {tuple(code) for code in by_corner[:, 0].tolist()}
    assert first[0] == first[1] != first[2] == first[3]
    assert len(path) == 4


def test_the_same_seed_gives_the_same_codes_and_each_fits_its_book():
    embeddings = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    codes = residual_kmeans(embeddings.half(), (5, 3, 7), seed=1)
    assert codes.shape == (60, 3)
    assert (codes >= 0).all()
    assert (codes.max(0) < (5, 3, 7)).all()
    assert np.array_equal(codes, residual_kmeans(embeddings.half(), (5, 3, 7), seed=1))
