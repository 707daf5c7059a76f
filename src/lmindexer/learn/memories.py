"""Encoder memories of any rows of the corpus; what the frozen part of the encoder says is computed once."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmindexer import parallel
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import to_device
from lmindexer.errors import InputError
from lmindexer.model.backbone import Backbone, Memory
from lmindexer.progress import Progress

IN_MEMORY_BYTES = 2 << 30  # a larger cache goes to a file
PIECES = 128  # read together
COUNTED = 8192  # documents whose tokens are counted together


class Memories:
    """Tokens and encoder states of every document.

    Where part of the encoder is frozen its output is cached, flat (all tokens, D) in half precision,
    so an epoch costs only what learns.

    Where long documents are in pieces, the encoder reads each piece on its own, without gradients. A document's
    memory are the states of the tokens kept of all its pieces, each as it was read beside the others of its piece: as
    many as of a document that is cut, so that all but this reading costs the same, and what is rebuilt are the tokens
    whose states the decoder sees.
    """

    def __init__(self, backbone: Backbone, tokens: Tokens, bf16: bool, folder: Path | None = None) -> None:
        self.backbone, self.corpus_tokens, self.bf16 = backbone, tokens, bf16
        self.lengths = np.diff(tokens.offsets)  # (N,)
        self.cache: Tensor | None = None  # (all tokens, D)
        self.pieces = None if tokens.pieces is None else Memories(backbone, tokens.pieces.tokens, bf16)
        self.folder = folder  # for a large cache

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def device(self) -> torch.device:
        return self.backbone.token_weight.device

    @property
    def nbytes(self) -> int:
        """What a cache of the encoder's states takes."""
        return int(self.lengths.sum()) * self.backbone.dim * 2

    def tokens(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Token ids (B, L) and mask (B, L) of the rows, on the device."""
        return padded_on(self.device, self.corpus_tokens, rows, self.backbone.pad_id)

    def memory(self, rows: np.ndarray, views: int = 1) -> Memory:
        """The encoder's memory of the rows, with gradients where the encoder learns.

        Of `views` of a document, each has a memory of its own, side by side, where dropout in the encoder makes them
        differ (Eq. 9); where they would be equal they share one. The encoder runs in the precision of `bf16` whoever
        asks, so that codes assigned to the documents while learning are those of the same documents when they come
        again. The states are float32.
        """
        rows = np.repeat(rows, views) if self.backbone.looks_differ else rows
        tokens, mask = self.tokens(rows)
        cached = None if self.cache is None else self._cached(rows, mask)
        if self.pieces is not None:
            states = _side_by_side(self._flat_states(rows), mask) if cached is None else cached
            return Memory(states, mask, self.backbone.weight_of(tokens, mask))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            memory = self.backbone.remember(tokens, mask, cached)
        return replace(memory, states=memory.states.float())

    def batches(self, batch_size: int = 256) -> Iterator[np.ndarray]:
        """All rows, those of similar length together: the order for a pass without learning."""
        order = np.argsort(self.lengths, kind="stable")
        for at in range(0, len(order), batch_size):
            yield order[at : at + batch_size]

    @torch.no_grad()
    def fill(self, progress: Progress) -> None:
        """Compute the frozen part's output for every document, once, where there is something to keep."""
        if not self.backbone.caches or self.cache is not None:
            return
        self.backbone.eval()
        total = int(self.lengths.sum())
        cache = self._allocate(total)
        if parallel.processes() > 1:
            cache.zero_()
        done = 0
        for rows in parallel.shared_out(self.batches(128)):
            cache[self._places(rows).to(cache.device)] = self._flat_states(rows).to(cache.dtype).to(cache.device)
            done += len(rows) * parallel.processes()
            progress.at("encoding documents", 0, 1, min(done / len(self), 1.0))
        for part in cache.split(2**16):
            parallel.summed(part)
        self.cache = cache

    @torch.no_grad()
    def embeddings(self, progress: Progress | None = None) -> Tensor:
        """One vector a document (N, D), as the encoder by itself says, in half precision on the device.

        Of LMIndexer's encoder call it before anything has learned. Of a document in pieces it is their mean, each
        counted by its tokens.
        """
        if self.pieces is not None:
            return self._mean_of_pieces(self.pieces.embeddings(progress))
        self.backbone.eval()
        pooled = torch.empty(len(self), self.backbone.dim, dtype=torch.float16, device=self.device)
        done = 0
        for rows in self.batches(128):
            memory = self.memory(rows)
            pooled[torch.from_numpy(rows)] = self.backbone.pooled(memory.states, memory.mask).half()
            done += len(rows)
            if progress is not None:
                progress.at("embedding documents", 0, 1, done / len(self))
        return pooled

    @torch.no_grad()
    def _flat_states(self, rows: np.ndarray) -> Tensor:
        """What the part of the encoder that does not learn says of all tokens of the rows, flat (all tokens, D)."""
        pieces = self.corpus_tokens.pieces
        if self.pieces is None or pieces is None:
            tokens, mask = self.tokens(rows)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                return self.backbone.frozen_states(tokens, mask)[mask]
        parts, flat = pieces.rows_of(rows), []
        for at in range(0, len(parts), PIECES):
            part = parts[at : at + PIECES]
            memory = self.pieces.memory(part)
            flat.append(memory.states[memory.mask][torch.from_numpy(pieces.kept_of(part)).to(self.device)])
        return torch.cat(flat)

    def _cached(self, rows: np.ndarray, mask: Tensor) -> Tensor:
        """The same as it was kept, side by side (B, L, D) in single precision, zero where `mask` (B, L) is false."""
        assert self.cache is not None
        within = np.minimum(np.arange(mask.shape[1]), np.maximum(self.lengths[rows] - 1, 0)[:, None])
        places = to_device(self.corpus_tokens.offsets[rows][:, None] + within, self.cache.device)  # (B, L)
        states = self.cache[places].to(self.device).float()
        return states.masked_fill_(~mask[..., None], 0.0)

    def _mean_of_pieces(self, vectors: Tensor) -> Tensor:
        """Vectors (P, D) of all pieces -> (N, D), in half precision."""
        pieces = self.corpus_tokens.pieces
        assert self.pieces is not None
        assert pieces is not None
        document = torch.from_numpy(np.repeat(np.arange(len(self)), np.diff(pieces.first))).to(vectors.device)
        lengths = torch.from_numpy(self.pieces.lengths).to(vectors.device).float()[:, None]
        sums = torch.zeros(len(self), vectors.shape[1], device=vectors.device)
        total = torch.zeros(len(self), 1, device=vectors.device).index_add_(0, document, lengths)
        return (sums.index_add_(0, document, vectors.float() * lengths) / total.clamp_min(1)).half()

    def _places(self, rows: np.ndarray) -> Tensor:
        """Where in the flat cache the rows' tokens stand, document after document."""
        starts, lengths = self.corpus_tokens.offsets[rows], self.lengths[rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return torch.from_numpy(np.repeat(starts, lengths) + within)

    def _allocate(self, total: int) -> Tensor:
        D = self.backbone.dim
        if self.device.type == "cuda" and total * D * 2 < torch.cuda.mem_get_info(self.device)[0] // 2:
            return torch.empty(total, D, dtype=torch.float16, device=self.device)
        if self.nbytes < IN_MEMORY_BYTES or self.folder is None:
            return torch.empty(total, D, dtype=torch.float16)
        path = self.folder / f".states.{os.getpid()}"
        _reserve(path, total * D * 2)
        cache = torch.from_file(str(path), shared=True, size=total * D, dtype=torch.float16).view(total, D)
        path.unlink()  # the mapping lives on; the file is gone when the process ends, however it ends
        return cache


def padded_on(device: torch.device, tokens: Tokens, rows: np.ndarray, pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids (B, L) and mask (B, L) of some rows, on a device, as wide as the longest of the whole batch."""
    longest = parallel.widest(int(tokens.length_of(rows).max(initial=0)))
    ids, mask = tokens.padded(rows, pad_id, longest)
    return to_device(ids, device), to_device(mask, device)


def _side_by_side(flat: Tensor, mask: Tensor) -> Tensor:
    """Flat states (all tokens, D) of the documents of `mask` (B, L): (B, L, D), in single precision."""
    states = torch.zeros(*mask.shape, flat.shape[1], device=mask.device)
    states[mask] = flat.float()
    return states


def _reserve(path: Path, size: int) -> None:
    """A file of `size` bytes that the disk has room for: writing to a mapped file beyond it would kill the process.

    Raises:
        InputError: when the disk has not.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"no space left in {path.parent.resolve()} for {size / 1e9:.1f} GB of encoder states; free some and run "
            "again, or cut documents shorter with --max-tokens"
        ) from error


def document_frequency(tokens: Tokens, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of documents that hold each token (V,), and how often each occurs (V,)."""
    N, offsets = len(tokens), tokens.offsets
    holding, counts = np.zeros(vocabulary_size, np.int64), np.zeros(vocabulary_size, np.int64)
    for at in range(0, N, COUNTED):  # what is sorted together stays in the processor's cache
        part = offsets[at : at + COUNTED + 1]
        ids = tokens.ids[part[0] : part[-1]].astype(np.int64)
        row = np.repeat(np.arange(len(part) - 1, dtype=np.int64), np.diff(part))
        holding += np.bincount(np.unique(row * vocabulary_size + ids) % vocabulary_size, minlength=vocabulary_size)
        counts += np.bincount(ids, minlength=vocabulary_size)
    return holding / max(N, 1), counts
