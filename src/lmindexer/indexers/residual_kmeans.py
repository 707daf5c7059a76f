"""Embed, then quantise: residual K-means on sentence embeddings, the two-step way to beat."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.learn.kmeans import kmeans


def residual_kmeans(embeddings: Tensor, sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """Codes (N, T) int32: K-means of the unit embeddings (N, D), then of what is left of each."""
    rest = F.normalize(embeddings.float(), dim=1)
    columns = []
    for size in sizes:
        centres = F.normalize(kmeans(rest, size, seed).centres, dim=1)
        codes = torch.cat([(part @ centres.T).argmax(1) for part in rest.split(16384)])
        columns.append(codes.cpu().numpy().astype(np.int32))
        count = torch.bincount(codes, minlength=size).clamp_min(1)[:, None]
        means = torch.zeros_like(centres).index_add_(0, codes, rest) / count
        rest = rest - means[codes]
    return np.stack(columns, axis=1)
