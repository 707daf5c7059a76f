"""The command line: one function a verb. Heavy imports happen inside, so that --help is immediate."""

from lmindexer.cli import ids, learning, looking, rating, searching  # noqa: F401 - each adds its verbs to the app
from lmindexer.cli.app import main

__all__ = ["main"]
