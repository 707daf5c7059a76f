"""Texts -> token ids by a published tokenizer: cut, or whole in pieces; no id that the model has no row for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.errors import InputError


@dataclass(frozen=True)
class TextReader:
    """What a tokenizer makes of texts for a model with so many `rows` that reads `longest` tokens at a time."""

    tokenizer: Any
    longest: int
    rows: int

    def room(self, max_tokens: int) -> int:
        """How many of `max_tokens` are left for a text itself. Raises InputError where none is."""
        around = int(self.tokenizer.num_special_tokens_to_add())
        if min(max_tokens, self.longest) <= around:
            raise InputError(
                f"max_tokens {max_tokens} leaves no room for text, as the tokenizer puts {around} tokens around each; "
                f"give at least {around + 1}"
            )
        return min(max_tokens, self.longest) - around

    def cut(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Ids of each text, at most `max_tokens` or as many as the model reads."""
        return [self._known(tokens) for tokens in self._encoded(texts, max_tokens)["input_ids"]]

    def whole(self, texts: Sequence[str]) -> list[list[int]]:
        """All ids of each text, however long it is, without those that the tokenizer puts around it."""
        return [
            self._with_rows(tokens)
            for tokens in self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        ]

    def pieces(self, texts: Sequence[str], max_tokens: int) -> list[list[list[int]]]:
        """All ids of each text, in pieces as long as `cut` makes a text; the first is what it gives.

        Every piece begins and ends as a text does. Raises InputError as `room`.
        """
        room = self.room(max_tokens)
        if not self.tokenizer.is_fast:
            return [self._pieces_of(text, room) for text in texts]
        encoded = self._encoded(texts, max_tokens).encodings
        return [[self._known(part.ids) for part in (start, *start.overflowing)] for start in encoded]

    def _encoded(self, texts: Sequence[str], max_tokens: int) -> Any:
        return self.tokenizer(list(texts), truncation=True, max_length=min(max_tokens, self.longest), verbose=False)

    def _pieces_of(self, text: str, room: int) -> list[list[int]]:
        """The same of one text by a tokenizer in plain Python, which does not give what it leaves out."""
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        parts = [ids[at : at + room] for at in range(0, max(len(ids), 1), room)]
        return [self._known(self.tokenizer.build_inputs_with_special_tokens(part)) for part in parts]

    def _known(self, tokens: list[int]) -> list[int]:
        """A token that the tokenizer has and the model has no row for (<mask> of published BARTs) is unknown.

        Of a text without any token (an empty one, where the tokenizer puts none around it) one is read, so that there
        is something to look at.
        """
        return self._with_rows(tokens) or [self._end]

    @property
    def _end(self) -> int:
        """The token that stands for the end of a text, or whatever there is."""
        tokens = (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id, self.tokenizer.pad_token_id)
        return next((token for token in tokens if token is not None and token < self.rows), 0)

    def _with_rows(self, tokens: list[int]) -> list[int]:
        if len(self.tokenizer) <= self.rows:
            return tokens
        unknown = self.tokenizer.unk_token_id
        instead = [] if unknown is None or unknown >= self.rows else [unknown]
        return [i for token in tokens for i in ([token] if token < self.rows else instead)]
