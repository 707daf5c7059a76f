"""The verb that makes documents, sequences and queries of published raw data: prepare."""

import sys
from pathlib import Path
from typing import Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import print_markdown
from lmindexer.cli.options import option
from lmindexer.errors import InputError
from lmindexer.prepare.registry import SETS

FORMS = "\n".join(f"  {name:<10} {raw.files}" for name, raw in SETS.items())


def _cuts(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        first, second = map(float, value.split(","))
    except ValueError:
        raise InputError(f"--cuts are two numbers with a comma between them, such as 0.8,0.9, not {value!r}") from None
    return first, second


@app.command(epilog="\b\nWhat RAW_FOLDER holds of each SET, packed or not, at any depth:\n" + FORMS)
@click.argument("kind", metavar="SET", type=click.Choice(list(SETS)))
@click.argument("raw_folder", type=click.Path(path_type=Path))
@option("--out", required=True, type=click.Path(path_type=Path), help="The new folder to write the prepared set to.")
@option("--name", help="Which set it is where a folder has several, or which one --download fetches: beauty, sports or "
        "toys of amazon; scifact or nfcorpus of beir; ml-100k or ml-1m of movielens. Of esci, whose numbers in the "
        "paper to print.")  # fmt: skip
@option(
    "--core",
    type=int,
    metavar="INT",
    help="Leave out users and items with fewer events, until none has. [5 of amazon, else 0]",
)
@option(
    "--split-by",
    type=click.Choice(["leave-one-out", "time"]),
    help="Hold out the last two items of each user, or all that came after two moments. [leave-one-out]",
)
@option(
    "--cuts",
    metavar="FLOAT,FLOAT",
    callback=_cuts,
    help="Shares of the events before dev and before test, of --split-by time. [0.8,0.9]",
)
@option(
    "--ties",
    type=click.Choice(["shuffled", "file"]),
    help="Order of the events of a user that have one time: by a hash of user, item and seed, or as in the file, "
    "where it often goes by the items' ids, which a model could learn. [shuffled]",
)
@option("--passages", type=int, metavar="INT",
        help="How many passages of MS MARCO to take, all relevant ones among them; 0: all. [1000000]")  # fmt: skip
@option("--catalogue", type=click.Path(path_type=Path, exists=True),
        help="Of esci: documents, such as items.jsonl.gz of a prepared Amazon set, to which queries are kept by ASIN; "
             "without it, all products.")  # fmt: skip
@option("--locale", help="Of esci: us, es or jp. [us]")
@option("--seed", type=int, metavar="INT", help="Another seed draws other passages, dev queries and ties. [0]")
@option("--download", is_flag=True,
        help="First fetch the published files into RAW_FOLDER, as far as they are not there; address, size and "
             "checksum are shown before. Where no checksum is published, the SHA-256 of the first fetch is shown and "
             "kept in RAW_FOLDER/fetched.json, and a later fetch must have it.")  # fmt: skip
@option("--quiet", is_flag=True, help="Print nothing but notes, warnings and errors.")
def prepare(kind: str, raw_folder: Path, out: Path, download: bool, quiet: bool, name: str | None,
            **options: Any) -> None:  # fmt: skip
    """Make documents, sequences and queries of published raw data, as the paper does.

    SET is amazon, esci, nq320k, msmarco, trec-dl, beir, movielens or recbole; what is read of each stands below. OUT
    gets items.jsonl.gz and sequences.txt.gz, or a BEIR folder, and prepared.json, which says from which files, by which
    rules and with which counts; counts are shown beside the paper's Tables 7 and 8. Files are read record by record,
    and OUT is whole or not there.

    \b
    Examples:
      lmindexer prepare amazon raw/ --name beauty --download --out data/beauty
      lmindexer prepare esci raw/ --catalogue data/beauty/items.jsonl.gz --name beauty --out data/esci
      lmindexer prepare movielens ml-1m/ --core 5 --split-by time --out data/movies
    """
    from lmindexer.prepare.prepared import commands_on, counts_table
    from lmindexer.prepare.preparing import prepare as make
    from lmindexer.progress import Progress

    options = {key: value for key, value in {"name": name, **options}.items() if value is not None}
    progress = Progress(None if quiet else sys.stderr, warnings=sys.stderr)
    try:
        if download:
            _fetch(kind, name or "", raw_folder, progress)
        prepared = make(kind, raw_folder, out, options, progress)
    except KeyboardInterrupt:
        click.echo(f"\nstopped; nothing was written to {out}", err=True)
        sys.exit(130)
    progress.note(*prepared.notes)
    if not quiet:
        print_markdown(counts_table(prepared.counts))
        click.echo("\n".join(("", *prepared.rules, f"\nPrepared: {out}", "Next:")))
        click.echo("\n".join(f"  {command}" for command in commands_on(prepared, out)))


def _fetch(kind: str, name: str, raw: Path, progress: Any) -> None:
    """Show what is to be fetched, and fetch it."""
    from lmindexer.prepare.addresses import addresses_of
    from lmindexer.prepare.fetching import address_table, fetch, sizes_of

    addresses = addresses_of(kind, name)
    if progress.stream is not None:
        progress.clear()
        print_markdown(address_table(addresses, sizes_of(addresses)))
    for address in addresses:
        progress.say(f"{address.name}: SHA-256 {fetch(address, raw, progress)}")
