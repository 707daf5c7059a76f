"""The verb that brings in IDs which were made elsewhere: import."""

from pathlib import Path
from typing import Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import columns_in, how_to_read, steps, tell_skipped
from lmindexer.cli.options import option


@app.command("import")
@click.argument("ids", type=click.Path(path_type=Path))
@option("--documents", multiple=True, required=True, type=click.Path(path_type=Path),
        help="The documents that the IDs are of, as lmindexer learn reads them; may be given often.")  # fmt: skip
@option("--out", required=True, type=click.Path(path_type=Path), help="The run folder to make.")
@option("--last", type=click.Choice(["code", "suffix"]),
        help="Is the last number of an ID a code as the others, or does it only tell apart documents that share "
             "these? [code in a JSON object and without a column called suffix, else suffix]")  # fmt: skip
@option("--text", default="", metavar="TEXT,...", help="Columns of the text.")
@option("--id", default="", help="Column of the document's id.")
@option("--label", default="", help="Column of the label.")
@how_to_read
def import_verb(ids: Path, documents: tuple[Path, ...], out: Path, last: str | None, text: str, id: str, label: str,
                **reading: Any) -> None:  # fmt: skip
    """Make a run of IDs that another program made.

    IDS is JSONL {"id": "B004", "codes": [17, 401, 0]}, CSV or Parquet with columns id, c1, c2, ..., suffix, or a JSON
    object of ids, {"B004": ["<a_17>", "<b_401>"]}, the index.json of LETTER and LC-Rec. The run is like any other: to
    inspect, compare, explore, fine-tune and search; but no model gives IDs to documents that come later.

    \b
    Example:
      lmindexer import index.json --documents items.jsonl --text title --out runs/letter
    """
    from lmindexer.corpus.documents import Corpus
    from lmindexer.indexers.imported import import_ids

    corpus = Corpus.read(list(documents), text=columns_in(text), id=id, label=label, **reading)
    tell_skipped(corpus)
    with steps() as progress:
        found = import_ids(ids, corpus, out, last=last or "", keep_going=reading["keep_going"], progress=progress)
    assert found.ids is not None
    sizes = " x ".join(map(str, found.ids.sizes))
    click.echo(f"{len(found.ids):,} IDs of {sizes} codes\nRun folder: {out}\nNext: lmindexer inspect {out}   "
               f"lmindexer explore {out}   lmindexer finetune {out} --queries Q --out SEARCH")  # fmt: skip
