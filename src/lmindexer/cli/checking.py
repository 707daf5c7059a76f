"""The verb that looks whether a run folder is whole: check."""

import sys
from pathlib import Path

import click

from lmindexer.cli.app import app
from lmindexer.cli.options import option


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@option("--mend", is_flag=True, help="Mend what can be mended, instead of only telling it.")
def check(run: Path, mend: bool) -> None:
    """Check that RUN is whole: every file as it was written, IDs and documents that belong together.

    Exits with 0 when nothing is wrong, and with 1 otherwise.

    \b
    Examples:
      lmindexer check runs/beauty
      lmindexer check runs/beauty --mend
    """
    from lmindexer.indexers.check import check_run, mend_run
    from lmindexer.progress import Progress

    before = check_run(run)
    after = mend_run(run, Progress(sys.stderr)) if mend else before
    for fault in before:
        mended = mend and fault not in after
        hint = f" ({'mended' if mended else 'with --mend'}: {fault.mending})" if fault.mending else ""
        click.echo(f"{run}: {fault.what}{hint}")
    for fault in after:
        if fault not in before:
            click.echo(f"{run}: {fault.what}")
    if any(not fault.mending for fault in after):
        click.echo(
            f"what has no remedy above must be learned or fine-tuned anew, or taken from a copy of {run}", err=True
        )
    if not before:
        click.echo(f"{run} is whole")
    sys.exit(1 if after else 0)
