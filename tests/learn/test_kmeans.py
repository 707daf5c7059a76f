"""The start of a codebook: clusters and look-up agree, centres have one length, nothing is left to chance."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.learn.kmeans import group_means, kmeans
from lmindexer.model.codebook import Codebook


def directions(N: int, D: int, seed: int = 0) -> Tensor:
    """Vectors of length sqrt(D), as every h is."""
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(seed))
    return F.normalize(x, dim=1) * D**0.5


def uneven_blobs(D: int = 16) -> Tensor:
    """Eight blobs, the largest a hundred times the smallest."""
    sizes = [400, 200, 100, 50, 25, 12, 6, 4]
    middles = directions(8, D, seed=1)
    noise = torch.randn(sum(sizes), D, generator=torch.Generator().manual_seed(2)) * 0.9
    return F.normalize(middles.repeat_interleave(torch.tensor(sizes), 0) + noise, dim=1) * D**0.5


def codebook_of(hidden: Tensor, size: int, crowding: float = 0.0) -> Codebook:
    clusters = kmeans(hidden, size, seed=0, crowding=crowding)
    codebook = Codebook(size, hidden.shape[1])
    codebook.initialise(clusters.centres, clusters.prior)
    return codebook


def entropy(codes: Tensor) -> float:
    share = np.bincount(codes) / len(codes)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


@pytest.mark.parametrize("crowding", [0.0, 0.4, 1.0])
def test_look_up_right_after_the_start_gives_the_clusters(crowding: float):
    hidden = uneven_blobs()
    clusters = kmeans(hidden, 12, seed=0, crowding=crowding)
    codes = codebook_of(hidden, 12, crowding).assign(hidden)
    assert torch.equal(codes, (hidden @ clusters.centres.T / 16**0.5 + clusters.prior).argmax(1))
    if not crowding:
        assert torch.equal(codes, torch.cdist(hidden, clusters.centres).argmin(1)), "the nearest centre"
        assert (clusters.prior == 0).all()


@pytest.mark.parametrize("crowding", [0.0, 0.4])
def test_the_look_up_is_the_assignment_that_the_clusters_were_made_of(crowding: float):
    """Where nothing moves any more, a centre is the mean direction of its cluster, and the prior its log share."""
    size, hidden = 5, uneven_blobs()
    codebook = codebook_of(hidden, size, crowding)
    codes, unit = codebook.assign(hidden), F.normalize(hidden, dim=1)
    means = torch.stack([unit[codes == code].mean(0) for code in range(size)])
    share = torch.stack([(codes == code).float().mean() for code in range(size)])
    log_share = share.clamp_min(0.1 / size).log()  # no code is shut out
    torch.testing.assert_close(F.normalize(codebook.weight, dim=1), F.normalize(means, dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(codebook.prior, crowding * (log_share - log_share.max()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("crowding", [0.0, 0.4])
@pytest.mark.parametrize(("N", "size"), [(300, 1), (300, 20), (64, 64), (20, 64)])
def test_every_centre_has_length_root_d(N: int, size: int, crowding: float):
    clusters = kmeans(directions(N, 16), size, seed=0, crowding=crowding)
    assert clusters.centres.shape == (size, 16)
    torch.testing.assert_close(clusters.centres.norm(dim=1), torch.full((size,), 4.0))
    assert clusters.prior.shape == (size,)
    assert clusters.prior.isfinite().all()


def test_the_same_seed_gives_the_same_centres():
    hidden = directions(3000, 8)
    first, again, other = (kmeans(hidden, 5, seed, crowding=0.4, sample=100) for seed in (3, 3, 4))
    assert torch.equal(first.centres, again.centres)
    assert torch.equal(first.prior, again.prior)
    assert not torch.equal(first.centres, other.centres)


def blobs(many: int, D: int = 32) -> tuple[Tensor, Tensor]:
    """`many` well separated blobs of 40: their vectors and which blob each is of."""
    blob = torch.arange(many).repeat_interleave(40)
    noise = torch.randn(len(blob), D, generator=torch.Generator().manual_seed(8)) * 0.1
    return F.normalize(directions(many, D, seed=5)[blob] + noise, dim=1) * D**0.5, blob


@pytest.mark.parametrize("crowding", [0.0, 0.4])
def test_separate_blobs_are_recovered(crowding: float):
    hidden, blob = blobs(6)
    codes = codebook_of(hidden, 12, crowding).assign(hidden)
    assert len(set(zip(blob.tolist(), codes.tolist(), strict=True))) == len(codes.unique()), "no code mixes two blobs"
    assert len(codes.unique()) == (6 if crowding else 12), "crowding finds how many there are"


def test_scale_is_no_matter_to_the_clusters():
    hidden = uneven_blobs()
    scale = 0.1 + torch.rand(len(hidden), 1, generator=torch.Generator().manual_seed(3)) * 9
    torch.testing.assert_close(kmeans(hidden * scale, 8, seed=0).centres, kmeans(hidden, 8, seed=0).centres)


def test_no_code_is_without_documents():
    hidden = directions(2000, 16)
    assert len(codebook_of(hidden, 50).assign(hidden).unique()) == 50


def test_as_many_codes_as_documents_give_each_its_own():
    hidden = directions(40, 16)
    assert len(codebook_of(hidden, 40).assign(hidden).unique()) == 40


def test_documents_fewer_than_codes_still_get_one_each():
    hidden = directions(7, 16)
    codes = codebook_of(hidden, 40).assign(hidden)
    assert len(codes.unique()) == 7


def test_equal_documents_do_no_harm():
    clusters = kmeans(directions(1, 16).expand(30, 16), 8, seed=0)
    assert clusters.centres.isfinite().all()


def test_crowding_makes_the_sizes_as_uneven_as_the_data():
    hidden = uneven_blobs()
    even, crowded = (codebook_of(hidden, 16, crowding).assign(hidden) for crowding in (0.0, 1.0))
    assert entropy(crowded) < entropy(even)


def test_means_of_groups_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]])
    means, count = group_means(vectors, torch.tensor([2, 2, 0]), 4)
    assert means.tolist() == [[5.0, 5.0], [0.0, 0.0], [2.0, 1.0], [0.0, 0.0]]
    assert count.tolist() == [1, 0, 2, 0]
