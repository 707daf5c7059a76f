"""The verb that answers over HTTP: serve."""

import socket
from pathlib import Path
from typing import Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import steps
from lmindexer.cli.methods import ABOUT, how_to_ask, options_of
from lmindexer.cli.options import option
from lmindexer.errors import InputError
from lmindexer.extras import optional
from lmindexer.methods.registry import METHODS, method_for

SHORTEST = 16  # characters of a token
STOPS_AFTER = 10  # seconds in which what is being answered may come to its end


@app.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--host", default="127.0.0.1", metavar="TEXT",
        help="The address to listen on; 0.0.0.0: all of this machine.")  # fmt: skip
@option("--port", default=8000, type=click.IntRange(0, 65535), metavar="INT",
        help="The port to listen on; 0: one that is free.")  # fmt: skip
@option("--token-file", type=click.Path(path_type=Path),
        help="A file with the token of those who may add and remove documents. [nobody may]")  # fmt: skip
@option("--concurrency", default=64, type=click.IntRange(min=1), metavar="INT",
        help="How many questions may be answered at a time; more are sent away with status 429.")  # fmt: skip
@option("--method", type=click.Choice(list(METHODS)),
        help=f"What answers. {ABOUT}. [as RUN was taught, else generative]")  # fmt: skip
@how_to_ask
def serve(runs: tuple[Path, ...], host: str, port: int, token_file: Path | None, concurrency: int, method: str | None,
          **how: Any) -> None:  # fmt: skip
    """Answer over HTTP what RUNS find, with a page for the browser.

    POST /search and /recommend find documents, POST /explain says why, GET /documents/ID and /tree show the IDs, GET
    /docs describes it all. Requests that come together are answered together. RUNS are run folders, or stores that
    lmindexer publish made; what another process adds, removes or publishes is taken up within a second. Ctrl-C ends it.

    \b
    Examples:
      lmindexer serve runs/search runs/recommend --port 8000
      lmindexer serve stores/beauty
    """
    from lmindexer.runs import Run, names_of
    from lmindexer.runs.versions import folder_of

    uvicorn = optional("uvicorn", "lmindexer serve", "serve")
    for package in ("fastapi", "prometheus_client"):
        optional(package, "lmindexer serve", "serve")
    token = "" if token_file is None else _token(token_file)
    opened = [Run.open(folder_of(run)[0]) for run in runs]
    methods = [method or method_for(run.path) for run in opened]
    options = options_of(methods, how)
    from lmindexer.serving.app import create_app
    from lmindexer.serving.limits import Limits
    from lmindexer.serving.served import Served

    served = []
    with steps() as progress:
        for name, run, answered_by in zip(names_of(runs), runs, methods, strict=True):
            progress.doing(f"loading {name} and what {answered_by} needs")
            served.append(Served(name, run, method or "", options[answered_by]))
    service = create_app(served, token=token, limits=Limits(concurrency=concurrency))
    config = uvicorn.Config(service, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=STOPS_AFTER)  # fmt: skip
    listening = _listening(host, port)
    place = f"[{host}]" if ":" in host else host
    click.echo(
        f"http://{place}:{listening.getsockname()[1]}/ answers; /docs says how it is asked; Ctrl-C ends it", err=True
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises InputError where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise InputError(f"cannot listen on {host}, port {port} ({reason}); choose another --host or --port") from None


def _token(path: Path) -> str:
    """The token in a file. Raises InputError where there is none, or one that could be guessed."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; write the token into it, at least {SHORTEST} letters") from None
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable():
        raise InputError(
            f"the token in {path} must have at least {SHORTEST} ASCII characters and no line break; make one with: "
            "openssl rand -hex 32"
        )
    return token
