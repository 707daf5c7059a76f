"""What a backbone has read: documents, queries or histories, as its decoder sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What is read leaves states (B, L, D), mask (B, L) bool, pooling weight (B, L) for the decoder.

    States may come from anywhere: tokens that a backbone has read, or vectors such as those of the items of a history.
    A causal model that has read tokens leaves the keys and values of its layers, too, each (B, heads, L, D / heads).
    """

    states: Tensor
    mask: Tensor
    weight: Tensor
    keys_values: Sequence[tuple[Tensor, Tensor]] = ()

    def rows(self, which: Tensor | slice) -> "Memory":
        """The memories at these places of the batch."""
        keys_values = [(keys[which], values[which]) for keys, values in self.keys_values]
        return Memory(self.states[which], self.mask[which], self.weight[which], keys_values)

    def first_of(self, documents: int) -> "Memory":
        """The first memory of each of so many documents, where some have several, side by side."""
        return self.rows(slice(None, None, len(self.states) // documents))
