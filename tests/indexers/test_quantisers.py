"""What holds of every quantiser, by its being listed."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmindexer.config import INDEXER_NAMES, LearnConfig, from_mapping
from lmindexer.indexers.quantisers import QUANTISERS, Quantiser
from lmindexer.progress import Progress

CONFIG = from_mapping({"sizes": (6, 4), "clusters": 3, "leaf": 20, "vae_latent": 4, "vae_epochs": 3})


def draw(N: int, name: str, seed: int = 0) -> Tensor:
    """Vectors as this quantiser gets them: five clouds, or numbers in [0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    if name == "random":
        return torch.rand(N, len(CONFIG.sizes), generator=generator)
    clouds = torch.randn(5, 8, generator=torch.Generator().manual_seed(99))
    return clouds[torch.arange(N) % 5] + 0.3 * torch.randn(N, 8, generator=generator)


def fit(name: str, vectors: Tensor, config: LearnConfig = CONFIG) -> Quantiser:
    return QUANTISERS[name].fit(vectors, config, Progress(None))


@pytest.fixture(params=QUANTISERS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "rq-vae":
        pytest.importorskip("vector_quantize_pytorch")
    return request.param


def test_every_two_step_indexer_that_can_be_chosen_has_a_quantiser():
    assert set(QUANTISERS) == set(INDEXER_NAMES) - {"lmindexer"}


def test_codes_fit_their_sizes_and_tell_the_clouds_apart(name):
    vectors = draw(300, name)
    quantiser = fit(name, vectors)
    codes = quantiser.codes(vectors)
    assert codes.dtype == np.int32
    assert codes.shape == (300, len(quantiser.sizes))
    assert (codes >= 0).all()
    assert (codes < quantiser.sizes).all()
    assert len(np.unique(codes, axis=0)) >= 5


def test_the_same_seed_gives_the_same_codes_and_leaves_the_random_state_alone(name):
    vectors = draw(300, name)
    before = torch.get_rng_state()
    codes = [fit(name, vectors).codes(vectors) for _ in range(2)]
    assert np.array_equal(*codes)
    assert torch.equal(before, torch.get_rng_state())


def test_saved_and_loaded_it_gives_the_same_codes_to_vectors_never_seen(name, tmp_path):
    quantiser, unseen = fit(name, draw(300, name)), draw(50, name, seed=1)
    save_file(quantiser.tensors(), tmp_path / "quantiser.safetensors")
    loaded = QUANTISERS[name].of(load_file(tmp_path / "quantiser.safetensors"), CONFIG)
    assert loaded.sizes == quantiser.sizes
    assert np.array_equal(loaded.codes(unseen), quantiser.codes(unseen))


def test_company_does_not_change_codes(name):
    vectors = draw(600, name)
    quantiser = fit(name, vectors)
    together = quantiser.codes(vectors)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(2))
    assert np.array_equal(quantiser.codes(vectors[order]), together[order.numpy()])
    assert np.array_equal(np.concatenate([quantiser.codes(v) for v in vectors.split(7)]), together)


def test_equal_vectors_have_equal_codes_even_if_all_are_equal(name):
    vectors = draw(40, name)[:1].repeat(300, 1)
    codes = fit(name, vectors).codes(vectors)
    assert (codes == codes[0]).all()


def test_half_precision(name):
    vectors = draw(300, name).half()
    codes = fit(name, vectors).codes(vectors)
    assert (codes == fit(name, vectors.float()).codes(vectors.float())).all()


@pytest.mark.parametrize("N", [1, 2, 5])
def test_fewer_vectors_than_codes(name, N):
    vectors = draw(N, name)
    codes = fit(name, vectors).codes(vectors)
    assert len(codes) == N
    if name == "rq-kmeans" or (name == "hc" and CONFIG.clusters >= N):
        assert len(np.unique(codes, axis=0)) == N


def test_no_vectors_have_no_codes(name):
    quantiser = fit(name, draw(30, name))
    assert quantiser.codes(draw(30, name)[:0]).shape == (0, len(quantiser.sizes))
