"""RQ-VAE."""

import io
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from lmindexer.config import from_mapping
from lmindexer.errors import InputError
from lmindexer.ids.quality import used_share
from lmindexer.indexers.rq_vae import RqVae
from lmindexer.progress import Progress


def clouds(N: int, seed: int = 0) -> Tensor:
    """Unit vectors about 40 directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(40, 32, generator=torch.Generator().manual_seed(5))
    return directions[torch.arange(N) % 40] + 0.5 * torch.randn(N, 32, generator=generator)


def fit(vectors: Tensor, progress: Progress | None = None, **settings) -> RqVae:
    pytest.importorskip("vector_quantize_pytorch")
    return RqVae.fit(vectors, from_mapping({"vae_latent": 8, "vae_epochs": 15} | settings), progress or Progress(None))


def test_every_book_is_used_whatever_its_size():
    vectors = clouds(2000)
    codes = fit(vectors, sizes=(32, 16, 8)).codes(vectors)
    for t, size in enumerate((32, 16, 8)):
        assert used_share(codes[:, t], size) >= 0.9


def test_first_codes_keep_clouds_together():
    vectors = clouds(2000)
    first = fit(vectors, sizes=(32, 8)).codes(vectors)[:, 0]
    same = first[:, None] == first[None, :]
    cloud = np.arange(2000) % 40
    within = cloud[:, None] == cloud[None, :]
    assert same[within].mean() > 10 * same[~within].mean()


def test_its_look_up_is_the_librarys():
    vq = pytest.importorskip("vector_quantize_pytorch")
    vectors = clouds(500)
    quantiser = fit(vectors, sizes=(16, 8), vae_epochs=2)
    theirs = vq.ResidualVQ(dim=8, codebook_size=(16, 8)).eval()
    for layer, book in zip(theirs.layers, quantiser.books, strict=True):
        layer.codebook = book
    x = (torch.nn.functional.normalize(vectors) - quantiser.mean) / quantiser.spread
    _, indices, _ = theirs(quantiser.encoder(x))
    assert (quantiser.codes(vectors) == indices.numpy()).mean() > 0.999  # but for ties that rounding makes


def test_it_tells_how_it_goes():
    told = io.StringIO()
    fit(clouds(100), Progress(told), sizes=(4, 4), vae_epochs=2)
    assert told.getvalue().count("rebuilding") == 2


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(InputError, match=r"pip install 'lmindexer\[rq-vae\]'"):
        RqVae.fit(clouds(10), from_mapping({"sizes": (4,)}), Progress(None))


def test_a_loss_that_is_no_number_is_told():
    vectors = clouds(50)
    vectors[3, 3] = torch.inf
    with pytest.raises(InputError, match="--vae-learning-rate"):
        fit(vectors, sizes=(4,))
