"""The paper's tables and figures, ours beside the paper's: `python -m bench.paper table3 --data beauty`."""
