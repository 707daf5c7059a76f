"""RQ-VAE ("rq-vae"): the semantic IDs of TIGER (Rajput et al. 2023, section 3.1), by vector-quantize-pytorch.

An autoencoder rebuilds the vectors from a small latent, which is quantised residually, book after book.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.indexers.clusters import in_chunks, residual_codes, sample_rows, unit
from lmindexer.progress import Progress

HIDDEN = (256, 128)  # widths between the vector and the latent, and back
COMMITMENT = 0.25  # TIGER's beta
VECTORS_A_CODE = 4  # a batch holds at least so many, else most codes look dead to their moving averages
LARGEST_BATCH = 4096
DECAY = 0.95  # of the moving averages that the codes are
DEAD = 0.1  # a code with less than this share of an equal part of the batch restarts at some vector
START_VECTORS = 16384  # K-means starts the books from so many, or from a batch if that is more
WARM_UP_SHARE = 0.05  # of the steps the learning rate rises, then it falls as a cosine
TOLD = 10  # epochs that get a line


@dataclass(frozen=True)
class RqVae:
    """The encoder half and the books; only the direction of a vector counts."""

    sizes: tuple[int, ...]
    mean: Tensor  # (D,) of the unit vectors
    spread: Tensor  # () of the unit vectors about their mean
    encoder: nn.Sequential  # (n, D) -> (n, latent)
    books: tuple[Tensor, ...]  # T of (K, latent)

    @classmethod
    def fit(cls, vectors: Tensor, config: LearnConfig, progress: Progress) -> Self:
        """Raises InputError where vector-quantize-pytorch is not installed, or learning went to infinity."""
        N, D = vectors.shape
        seen = unit(vectors[sample_rows(N, 256, config.seed).to(vectors.device)])
        mean = seen.mean(0)
        spread = (seen - mean).square().mean().sqrt().clamp_min(1e-6)

        def standardised(rows: Tensor) -> Tensor:
            return (unit(vectors[rows.to(vectors.device)]) - mean) / spread

        with torch.random.fork_rng([vectors.device] if vectors.device.type == "cuda" else []):
            torch.manual_seed(config.seed)
            encoder = _perceptron((D, *HIDDEN, config.vae_latent)).to(vectors.device)
            decoder = _perceptron((config.vae_latent, *reversed(HIDDEN), D)).to(vectors.device)
            books = _train(encoder, decoder, N, standardised, config, progress)
        return cls(config.sizes, mean, spread, encoder.requires_grad_(False), books)

    @torch.no_grad()
    def codes(self, vectors: Tensor) -> np.ndarray:
        device = vectors.device
        encoder = self.encoder.to(device)
        mean, spread, books = self.mean.to(device), self.spread.to(device), [book.to(device) for book in self.books]
        codes = in_chunks(lambda part: residual_codes(encoder((unit(part) - mean) / spread), books), vectors)
        return codes.cpu().numpy().astype(np.int32)

    def tensors(self) -> dict[str, Tensor]:
        """Without the decoder: it is for learning only."""
        tensors = {"mean": self.mean, "spread": self.spread}
        tensors |= {f"encoder.{name}": x for name, x in self.encoder.state_dict().items()}
        return tensors | {f"book.{t}": book for t, book in enumerate(self.books)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], config: LearnConfig) -> Self:
        weights = {name.removeprefix("encoder."): x for name, x in tensors.items() if name.startswith("encoder.")}
        D, latent = len(tensors["mean"]), tensors["book.0"].shape[1]
        encoder = _perceptron((D, *HIDDEN, latent)).to(tensors["mean"].device).requires_grad_(False)
        encoder.load_state_dict(weights)
        books = tuple(tensors[f"book.{t}"] for t in range(len(config.sizes)))
        return cls(config.sizes, tensors["mean"], tensors["spread"], encoder, books)


def _train(
    encoder: nn.Module,
    decoder: nn.Module,
    N: int,
    standardised: Callable[[Tensor], Tensor],
    config: LearnConfig,
    progress: Progress,
) -> tuple[Tensor, ...]:
    """The books, learned together with encoder and decoder from `standardised(rows)` (n, D) of N rows.

    Not a Stage of the Trainer: a quantiser has no run folder, and is learned too quickly to need checkpoints.
    """
    batch = min(N, max(config.batch_size, min(VECTORS_A_CODE * max(config.sizes), LARGEST_BATCH)))
    steps = math.ceil(N / batch)
    quantise = residual_vq()(
        dim=config.vae_latent,
        codebook_size=tuple(min(size, N) for size in config.sizes),
        kmeans_init=True,
        decay=DECAY,
        threshold_ema_dead_code=DEAD * batch / max(config.sizes),
        commitment_weight=COMMITMENT,
        rotation_trick=False,  # straight through: twice as fast, and its codes agree better with labels
    ).to(next(encoder.parameters()).device)
    quantise.train()
    with torch.no_grad():  # K-means is made of the first batch that it sees: let that be a large one
        quantise(encoder(standardised(torch.randperm(N)[: max(batch, START_VECTORS)])))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.vae_learning_rate, config.vae_epochs * steps, pct_start=WARM_UP_SHARE
    )
    for epoch in range(config.vae_epochs):
        total = torch.zeros(2, device=parameters[0].device)
        for step, rows in enumerate(torch.randperm(N).tensor_split(steps)):
            x = standardised(rows)
            quantised, _, commitment = quantise(encoder(x))
            losses = torch.stack([F.mse_loss(decoder(quantised), x), commitment.sum()])
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
            nn.utils.clip_grad_norm_(parameters, config.clip)
            optimizer.step()
            schedule.step()
            total += losses.detach() / steps
            progress.at("rq-vae", epoch, config.vae_epochs, (step + 1) / steps)
        if not total.isfinite().all():
            raise InputError(
                f"the loss of rq-vae is no longer a number in epoch {epoch + 1}; "
                "start again in another --out with a lower --vae-learning-rate"
            )
        if (epoch + 1) % max(1, config.vae_epochs // TOLD) == 0:
            numbers = dict(zip(("rebuilding", "commitment"), total.tolist(), strict=True))
            progress.epoch("rq-vae", epoch + 1, config.vae_epochs, numbers)
    return tuple(layer.codebook.detach().clone() for layer in quantise.layers)


def _perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def residual_vq() -> Any:
    """The library's class. Raises InputError naming the extra where it is not installed."""
    try:
        from vector_quantize_pytorch import ResidualVQ
    except ImportError:
        raise InputError(
            "the rq-vae indexer needs vector-quantize-pytorch; run: pip install 'lmindexer[rq-vae]'"
        ) from None
    return ResidualVQ
