"""What the rows of a vocabulary stand for, and how much each tells of a document."""

from typing import Any

import torch
from torch import Tensor


def rows_without_token(tokenizer: Any, rows: int) -> list[int]:
    """The rows of a vocabulary that fill it up: a published T5 has 32,128 rows and its tokenizer 32,100 tokens."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(rows)))
    return [row for row, token in enumerate(tokens) if token is None]


def telling_tokens(tokenizer: Any, rows: int) -> Tensor:
    """Which rows of a vocabulary stand for tokens with letters: (rows,) bool."""
    with_token = sorted(set(range(rows)) - set(rows_without_token(tokenizer, rows)))
    words = tokenizer.batch_decode([[row] for row in with_token], clean_up_tokenization_spaces=False)
    telling = torch.zeros(rows, dtype=torch.bool)
    telling[with_token] = torch.tensor([_has_letters(word) for word in words])
    return telling


def _has_letters(word: str) -> bool:
    """Two letters, one of a script that writes words with single signs, or a part of a sign cut into bytes."""
    letters = [c for c in word if c.isalpha()]
    return len(letters) >= 2 or "\ufffd" in word or any(ord(c) > 0x2E80 for c in letters)
