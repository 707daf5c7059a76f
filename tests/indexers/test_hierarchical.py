"""Hierarchical clustering."""

import numpy as np
import torch

from lmindexer.config import from_mapping
from lmindexer.indexers.hierarchical import HierarchicalClustering
from lmindexer.progress import Progress


def fit(vectors, **settings):
    return HierarchicalClustering.fit(vectors, from_mapping(settings), Progress(None))


def test_a_small_tree_by_hand():
    angles = torch.tensor([0.0, 0.1, 0.2, 3.0, 3.1])  # K-means parts {0, 1, 2} from {3, 4}; only the first is over 2
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    tree = fit(vectors, clusters=2, leaf=2)
    codes = tree.codes(vectors)
    assert tree.sizes == (2, 2)
    assert codes[0, 0] == codes[1, 0] == codes[2, 0] != codes[3, 0] == codes[4, 0]
    assert len(set(codes[:3, 1])) == 2
    assert codes[3:, 1].tolist() == [0, 0], "a path that ends early goes on with code 0"


def test_no_cluster_is_larger_than_a_leaf_and_none_that_is_small_is_divided():
    vectors = torch.randn(700, 6, generator=torch.Generator().manual_seed(0))
    tree = fit(vectors, clusters=4, leaf=30)
    codes = tree.codes(vectors)
    assert len(tree.sizes) > 2
    assert np.unique(codes, axis=0, return_counts=True)[1].max() <= 30
    for depth in range(1, len(tree.sizes)):
        prefixes, number = np.unique(codes[:, :depth], axis=0, return_inverse=True)
        for group in range(len(prefixes)):
            below = codes[number == group, depth:]
            assert len(below) > 30 or (below == 0).all()


def test_the_root_is_always_divided():
    vectors = torch.eye(3)
    assert fit(vectors, clusters=2, leaf=100).sizes == (2,)
    assert len(set(fit(vectors, clusters=2, leaf=100).codes(vectors)[:, 0])) == 2


def test_copies_beyond_a_leaf_end_the_division():
    vectors = torch.cat([torch.eye(2)[:1].repeat(50, 1), torch.eye(2)[1:].repeat(3, 1)])
    tree = fit(vectors, clusters=2, leaf=10)
    assert tree.sizes == (2,)
    assert len(np.unique(tree.codes(vectors), axis=0)) == 2
