"""The command line: one function a verb. Heavy imports happen inside, so that --help is immediate."""

from lmindexer.cli import (  # noqa: F401 - each adds its verbs to the app
    checking,
    evaluating,
    finetuning,
    ids,
    importing,
    learning,
    looking,
    preparing,
    pseudo,
    publishing,
    rating,
    searching,
    serving,
)
from lmindexer.cli.app import main

__all__ = ["main"]
