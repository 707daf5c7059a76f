"""The command itself: its help, its entry point, and what a user's mistake looks like."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click

from lmindexer.errors import InputError

JOURNEY = {  # the verbs in the order in which a user comes to need them
    "Learn IDs": ("demo", "prepare", "learn", "import"),
    "Look at them": ("inspect", "compare", "explore", "pairs", "score"),
    "Teach a task": ("pseudo", "finetune"),
    "Ask": ("search", "evaluate", "lookup"),
    "Keep a run": ("index", "add", "remove", "export", "check"),
    "Serve it": ("serve", "publish", "rollback"),
}


class Verbs(click.Group):
    """A command whose --help lists its verbs under the steps of the journey."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for every step of JOURNEY."""
        longest = max(map(len, self.commands))
        width = formatter.width - longest - 6
        for step, verbs in JOURNEY.items():
            with formatter.section(step):
                formatter.write_dl(
                    [(verb.ljust(longest), self.commands[verb].get_short_help_str(width)) for verb in verbs]
                )


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="lmindexer")
@click.pass_context
def app(context: click.Context) -> None:
    """Learn IDs that mean something for your documents, look at them, and find documents by them.

    \b
    Start here:   lmindexer demo
    Your data:    lmindexer learn items.jsonl --text title,brand --out runs/items
                  lmindexer inspect runs/items
                  lmindexer search runs/items "gentle shampoo"
    Teach it:     lmindexer finetune runs/items --queries queries.jsonl --out runs/search
                  lmindexer finetune runs/items sequences.txt --out runs/recommend
    Which IDs?    lmindexer learn items.jsonl --text title,brand --indexer rq-vae --out runs/rq-vae
                  lmindexer compare runs/items runs/rq-vae
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """A user's mistake is one sentence and exit code 2; Ctrl-C is no error."""
    try:
        yield
    except InputError as error:
        _refuse(str(error))
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx is not None else "lmindexer"
        _refuse(f"{error.format_message().rstrip('.')}; see {verb} --help")
    except BrokenPipeError:  # `lmindexer inspect RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _refuse(f"{what}; check the path and its permissions")
    except click.Abort:  # Ctrl-C
        sys.exit(130)


def _refuse(sentence: str) -> None:
    click.echo(f"lmindexer: {InputError(sentence)}", err=True)  # in one line, however long what it quotes
    sys.exit(2)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console command."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin make a busy machine crawl
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    with _mistakes():
        app(arguments, prog_name="lmindexer", standalone_mode=False)
