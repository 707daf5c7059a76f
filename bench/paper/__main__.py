"""The paper's tables and figures, ours beside the paper's.

    python -m bench.paper table1 --data beauty
    python -m bench.paper table3 --data scientific --finetune epochs=3
    python -m bench.paper table4 --data esci --only lmindexer,rq-vae,bm25
    python -m bench.paper figure4 --data items.jsonl.gz --learn text=title,brand --learn label=categories --seeds 0

Every system is run, or reused where its finished run lies in --out; a stopped command goes on where it was. Tables
are printed and kept in --out as Markdown and JSON. Sets by name lie under the folder LMINDEXER_DATA (./data by
default); a folder of one's own has items.jsonl or corpus.jsonl, sequences.txt, queries.jsonl and perhaps qrels/,
plain or as .gz. The row LMIndexer (T5-base) is the paper's own model and wants a GPU; --only leaves it out. What
cannot be run on this machine, for want of data, weights or a method, is named with the reason.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from bench.finished import sample_of, settings_in
from bench.paper.bench import Bench
from bench.paper.data import ESCI, SETS, data_set
from bench.paper.ids import figure3, figure4, figure6, table1, table2
from bench.paper.pseudo import pseudo_files
from bench.paper.report import Report, keep
from bench.paper.settings import table12
from bench.paper.studies import figure5, figure7, figure8, table5
from bench.paper.systems import table3, table4, table6, table14, table15
from lmindexer.config import from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.sizes import with_sizes

WHAT: dict[str, Callable[[Bench], Report]] = {
    make.__name__: make
    for make in (
        table1, table2, table3, table4, table5, table6, table12, table14, table15,
        figure3, figure4, figure5, figure6, figure7, figure8,
    )
}  # fmt: skip


def main() -> None:
    """Make what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.paper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT)
    sets = ", ".join([*SETS, *ESCI])
    parser.add_argument("--data", required=True, help=f"{sets}; a folder; or a file that lmindexer learn reads")
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated; mean and spread are over them")
    parser.add_argument("--sample", type=int, default=0, help="take this many documents at random; 0: all")
    parser.add_argument("--only", default="", help="comma-separated names of the rows to run, or their beginnings")
    parser.add_argument("--learn", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of lmindexer learn, for all rows alike where it counts")  # fmt: skip
    parser.add_argument("--finetune", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of lmindexer finetune, likewise")  # fmt: skip
    parser.add_argument("--pseudo", action="append", default=[], metavar="FILE|WAYS",
                        help="pseudo-queries that all who learn to search learn from, too: a file of lmindexer pseudo, "
                             "or its ways, such as title,spans,words")  # fmt: skip
    parser.add_argument("--hold-out", type=float, default=0.05, help="table15: this share of the documents")
    parser.add_argument("--quiet", action="store_true")
    arguments = parser.parse_args()
    try:
        for data in ESCI.get(arguments.data, (arguments.data,)):
            bench = bench_of(data, arguments)
            keep(WHAT[arguments.what](bench), bench, arguments.what)
    except (InputError, ValueError) as error:
        parser.error(str(error))


def bench_of(name: str, arguments: argparse.Namespace) -> Bench:
    """The documents of a data set, with all settings."""
    data, learning = data_set(name), settings_in(arguments.learn)
    of_set = {key: value for key, value in (("text", data.text), ("label", data.label)) if value}
    config = from_mapping(of_set | learning)
    everything = Corpus.read([data.documents], text=config.text, id=config.id, label=config.label, keep_empty=True)
    corpus = sample_of(everything, arguments.sample, 0)
    return Bench(
        data=data,
        corpus=corpus,
        config=with_sizes(config, len(corpus)),
        seeds=[int(seed) for seed in arguments.seeds.split(",")],
        out=arguments.out,
        quiet=arguments.quiet,
        only=tuple(arguments.only.split(",")),
        learning=learning,
        teaching=settings_in(arguments.finetune),
        pseudo=pseudo_files(arguments.pseudo, corpus, arguments.out / data.name),
        hold_out=arguments.hold_out,
    )


if __name__ == "__main__":
    main()
