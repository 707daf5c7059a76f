"""The dual encoder (Karpukhin et al. 2020): queries and documents read apart by one network, near where they match."""
