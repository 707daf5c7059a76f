"""K-means and nearest centres."""

import numpy as np
import pytest
import torch

from lmindexer.indexers import clusters
from lmindexer.indexers.clusters import in_chunks, kmeans, lloyd, lloyd_on_cpu, nearest, residual_codes, sample_rows


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_two_pairs_by_hand():
    vectors = torch.tensor([[0.0, 0], [0, 2], [10, 0], [10, 4]])
    centres = kmeans(vectors, 2, seed=0)
    assert centres[centres[:, 0].argsort()].tolist() == [[0, 1], [10, 2]]


def test_no_more_vectors_than_centres_are_centres_themselves_each_once():
    vectors = torch.tensor([[2.0, 0], [1, 0], [2, 0]])
    assert kmeans(vectors, 3, seed=0).tolist() == [[2, 0], [1, 0]]


def test_both_ways_of_lloyd_end_at_the_same_centres():
    vectors = random(500, 6)
    assert torch.allclose(lloyd(vectors, vectors[:12]), lloyd_on_cpu(vectors.clone(), vectors[:12]), atol=1e-5)


@pytest.mark.parametrize("method", [lloyd, lloyd_on_cpu])
def test_a_centre_that_no_vector_chooses_moves_to_the_vector_worst_served(method):
    vectors = torch.tensor([[0.0, 0], [0, 1], [1, 0], [9, 9]])
    centres = method(vectors.clone(), torch.tensor([[0.0, 0], [500, 500]]))
    assert torch.allclose(centres[centres[:, 0].argsort()], torch.tensor([[1 / 3, 1 / 3], [9, 9]]), atol=1e-5)


@pytest.mark.parametrize("method", [lloyd, lloyd_on_cpu])
def test_fewer_distinct_vectors_than_centres_leave_finite_centres(method):
    vectors = torch.tensor([[0.0, 1], [1, 0]]).repeat(20, 1)
    centres = method(vectors.clone(), vectors[:5])
    assert torch.cdist(vectors, centres).amin(1).max() < 1e-5


def test_ties_go_to_the_first_centre():
    assert nearest(torch.tensor([[0.0, 0]]), torch.tensor([[1.0, 0], [-1, 0], [0, 1]])).tolist() == [0]


def test_nearest_is_the_least_distance():
    vectors, centres = random(40, 5), random(7, 5, seed=1)
    assert torch.equal(nearest(vectors, centres), torch.cdist(vectors, centres).argmin(1))


def test_what_a_centre_leaves_is_looked_up_in_the_next_book():
    books = [torch.tensor([[0.0, 0], [10, 0]]), torch.tensor([[0.0, -1], [0, 1]])]
    assert residual_codes(torch.tensor([[9.0, 2], [1, -3]]), books).tolist() == [[1, 1], [0, 0]]


def test_chunks_have_one_shape_and_give_what_the_whole_gives():
    vectors, shapes = random(300, 3), set()

    def double(part: torch.Tensor) -> torch.Tensor:
        shapes.add(part.shape)
        return 2 * part

    assert torch.equal(in_chunks(double, vectors), 2 * vectors)
    assert torch.equal(in_chunks(double, vectors, torch.tensor([299, 0])), 2 * vectors[[299, 0]])
    assert len(shapes) == 1


def test_a_sample_is_large_enough_and_no_larger(monkeypatch):
    monkeypatch.setattr(clusters, "SAMPLE", (16, 2, 64))
    assert len(sample_rows(1000, 3, seed=0)) == 48  # 16 a centre
    assert len(sample_rows(1000, 8, seed=0)) == 64  # no more in all
    assert len(sample_rows(1000, 100, seed=0)) == 200  # but 2 a centre
    assert sample_rows(40, 3, seed=0).tolist() == list(range(40))
    assert not np.array_equal(sample_rows(1000, 3, seed=0), sample_rows(1000, 3, seed=1))
