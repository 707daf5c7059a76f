"""The verbs that keep versions of a run for those who serve it: publish and rollback."""

from pathlib import Path

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import steps
from lmindexer.cli.options import option


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@option("--to", "store", required=True, type=click.Path(path_type=Path),
        help="The store: a folder of versions, made where there is none.")  # fmt: skip
def publish(run: Path, store: Path) -> None:
    """Put a copy of RUN into a store, as the version that is served.

    lmindexer serve STORE takes it up within a second, and answers by the version before until then. A version does
    not change: add to RUN and publish it again. Where anything goes wrong, the version before stays.

    \b
    Example:
      lmindexer publish runs/beauty --to stores/beauty
    """
    from lmindexer.runs import Run
    from lmindexer.runs.versions import publish

    opened = Run.open(run)
    with steps() as progress:
        progress.doing(f"copying {run}")
        version = publish(opened, store)
    click.echo(f"version {version} of {store} is current", err=True)


@app.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("version", default="")
def rollback(store: Path, version: str) -> None:
    """Serve an earlier VERSION of a store again: by default the one before the current.

    \b
    Example:
      lmindexer rollback stores/beauty
    """
    from lmindexer.runs.versions import rollback

    click.echo(f"version {rollback(store, version)} of {store} is current", err=True)
