"""Every verb does what its --help says."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import distributions
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command_line import SMALL, counting_of, learned, lmindexer, write_items
from lmindexer.cli.app import app
from lmindexer.corpus.documents import Corpus
from lmindexer.ids.table import IdTable
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.runs import Run

VERBS = tuple(app.commands)


@pytest.fixture(scope="module")
def items(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(corpus, tmp_path_factory.mktemp("items") / "items.jsonl")


@pytest.fixture(scope="module")
def run(items: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "items"
    learned(items, "--label", "kind", "--out", folder, "--backbone", checkpoints["bert"])
    return folder


@pytest.fixture
def mixed(items: Path, tmp_path: Path) -> Path:
    """Five documents of the run, and two it has never seen."""
    lines = items.read_text().splitlines()[:5]
    lines += ['{"id": "new0", "title": "old rose and new soil"}', '{"id": "new1", "title": "a storm at the harbour"}']
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_option_and_gives_an_example(verb: str):
    answer = lmindexer(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert re.search(rf"Examples?:\n +lmindexer {verb}", answer.out)
    assert not re.search(r"^  (-\S.*[A-Z]|-\S+)\n(?=  -|\n)", answer.out, re.MULTILINE), "an option without a word"


def test_help_alone_lists_the_verbs():
    assert lmindexer().out == lmindexer("--help").out
    assert all(re.search(rf"^  {verb} +[A-Z].*\.$", lmindexer().out, re.MULTILINE) for verb in VERBS)


def test_the_help_of_the_demo_tells_its_own_defaults():
    told = lmindexer("demo", "--help").out
    assert re.search(r"many\s+tokens\s+\[64\]", told)
    assert "--label" not in told, "its documents are what they are"


def test_help_does_not_wait_for_torch():
    command = "import sys, lmindexer.cli as cli\nfor verb in sys.argv[1:]: cli.main([verb, '--help'])\n"
    heavy = "{'torch', 'numpy', 'pyarrow', 'scipy', 'sklearn', 'matplotlib', 'transformers', 'rich'}"
    subprocess.run(
        [sys.executable, "-c", command + f"loaded = {heavy} & set(sys.modules)\nassert not loaded, loaded", *VERBS],
        check=True,
    )


@pytest.mark.skipif(not list(distributions(name="lmindexer")), reason="the package is not installed")
def test_the_version_is_told():
    assert re.search(r"\d+\.\d+", lmindexer("--version").out)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl.gz", "folder"])
def test_learn_reads_every_kind_of_file(
    kind: str, run: Path, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path
):
    source = tmp_path / f"items.{kind}"
    table = {"id": corpus.doc_ids, "title": corpus.texts()}
    if kind == "parquet":
        import pyarrow as pa

        pq.write_table(pa.table(table), source)
    elif kind == "csv":
        source.write_text("id,title\n" + "".join(f"{a},{b}\n" for a, b in zip(*table.values(), strict=True)))
    elif kind == "folder":
        source.mkdir()
        lines = write_items(corpus, tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
        for n, part in enumerate((lines[:30], lines[30:])):
            (source / f"part-{n}.jsonl").write_text("".join(part))
    else:
        write_items(corpus, source)
    learned(source, "--out", tmp_path / "run", "--backbone", checkpoints["bert"])
    assert (tmp_path / "run" / "ids.jsonl").read_bytes() == (run / "ids.jsonl").read_bytes()


def test_flags_win_over_the_recipe(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'sizes = [3]\nseed = 5\nlearning-rate = 0.002\nbackbone = "{checkpoints["bert"]}"\n')
    learned(items, "--config", recipe, "--out", tmp_path / "run")
    config = Run.open(tmp_path / "run").config
    assert (config.sizes, config.seed, config.learning_rate) == ((4, 4), 5, 0.002)


def test_learn_says_from_the_first_second_what_it_does(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    answer = learned(items, "--out", tmp_path / "run", "--backbone", checkpoints["bert"])
    steps = [
        f"reading {items}\n",
        "80 documents read\n",
        f"loading the model {checkpoints['bert']}\n",
        "tokenising 80 documents\n",
        r"80 documents, [\d,]+ tokens; cpu",
        "encoding 80 documents",
        "reconstructor warm-up  1/1",
        "measuring the IDs\n",
    ]
    assert re.search(".*".join(step if "[" in step else re.escape(step) for step in steps), answer.err, re.DOTALL)
    assert "80 documents, " in answer.out
    assert re.search(r"lmindexer inspect \S+run", answer.out)


def test_two_step_indexers_say_what_they_do(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    encoder = ("--indexer", "rq-kmeans", "--embeddings", checkpoints["bert"])
    told = learned(items, "--out", tmp_path / "run", *encoder).err
    for step in (f"loading the model {checkpoints['bert']}", "tokenising 80 documents", "embedding 80 documents, "):
        assert step in told


@pytest.mark.parametrize("more", [(), ("--indexer", "random")], ids=["lmindexer", "random"])
def test_quiet_prints_nothing_but_warnings(
    more: tuple[str, ...], items: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    given = (items, "--quiet", "--out", tmp_path / "run", "--backbone", checkpoints["bert"], *SMALL, *more)
    learn = ("learn", *counting_of(given))
    command = [sys.executable, "-m", "lmindexer", *map(str, learn)]  # a process: libraries print, too
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert not more or done.stderr == ""
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines()), done.stderr
    assert (tmp_path / "run" / "report.md").exists()


def test_quiet_still_warns(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    learn = ("learn", items, "--quiet", "--out", tmp_path / "run", "--backbone", checkpoints["bert"], *SMALL)
    answer = lmindexer(*learn, "--sizes", "40,4", "--hints", 0.9)
    assert answer.code == 0
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert lines[0].startswith("warning: sizes 40,4 are only 2.0 documents a code")
    assert all(line.startswith("warning: ") for line in lines)


def test_learn_takes_sizes_from_the_documents_and_keeps_them(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    learn = ("learn", items, "--out", tmp_path / "run", "--backbone", checkpoints["bert"], *SMALL[2:])
    assert "sizes 4,4, from the number of documents" in lmindexer(*learn).err
    assert "sizes = [4, 4]" in (tmp_path / "run" / "config.toml").read_text()
    assert lmindexer(*learn, "--resume").code == 0
    assert lmindexer(*learn, "--resume", "--sizes", "8,8").code == 2


def test_learn_skips_bad_records_and_counts_them(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(items.read_text() + '{"id": "x", "title": " "}\nbroken\n{"title": "no id"}\n')
    answer = learned(bad, "--skip-bad", "--quiet", "--out", tmp_path / "run", "--backbone", checkpoints["bert"])
    assert len(IdTable.load(tmp_path / "run" / "ids.parquet")) == 80
    assert re.findall(r"skipped 1: (.*)", answer.err) == ["only white space", "broken JSON", "no id"]


def test_index_keeps_known_ids_and_gives_new_ones(run: Path, mixed: Path):
    answer = lmindexer("index", run, mixed)
    assert answer.code == 0
    assert answer.err == "7 documents, 2 of them new to the run\n"
    lines = answer.out.splitlines()
    assert lines[:5] == (run / "ids.jsonl").read_text().splitlines()[:5]
    assert [json.loads(line)["id"] for line in lines[5:]] == ["new0", "new1"]
    learned_paths = {tuple(json.loads(line)["codes"]) for line in (run / "ids.jsonl").open()}
    assert not learned_paths & {tuple(json.loads(line)["codes"]) for line in lines[5:]}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_index_writes_a_file(kind: str, run: Path, mixed: Path, tmp_path: Path):
    before = sorted((p.name, p.stat().st_mtime_ns) for p in run.iterdir())
    out = tmp_path / "not" / "yet" / f"ids.{kind}"
    answer = lmindexer("index", run, mixed, "--out", out)
    assert (answer.code, answer.out) == (0, "")
    assert list(out.parent.iterdir()) == [out]
    expected = LMIndexer.load(run).index(Corpus.read(mixed, text=("title",)))
    if kind == "parquet":
        assert IdTable.load(out) == expected
    elif kind == "jsonl":
        assert out.read_text().splitlines() == list(expected.jsonl_lines())
    else:
        assert out.read_text().splitlines()[0] == "id,c1,c2,suffix"
        assert out.read_text().splitlines()[-1] == "new1," + ",".join(map(str, expected["new1"]))
    assert sorted((p.name, p.stat().st_mtime_ns) for p in run.iterdir()) == before, "the run stays as it is"


def test_index_takes_other_columns_and_skips_bad_records(run: Path, tmp_path: Path):
    other = tmp_path / "other.csv"
    other.write_text("sku,name,maker\n1,rose,soil\n2, , \n3,storm,cloud\n")
    answer = lmindexer("index", run, other, "--id", "sku", "--text", "name, maker", "--skip-bad")
    assert [json.loads(line)["id"] for line in answer.out.splitlines()] == ["1", "3"]
    assert answer.err == "skipped 1: only white space\n2 documents, 2 of them new to the run\n"


def test_inspect_draws_the_tree_as_a_picture_that_fetches_nothing(run: Path, tmp_path: Path):
    picture = tmp_path / "new folder" / "tree.svg"
    lmindexer("inspect", run, "--svg", picture)
    root = ElementTree.parse(picture).getroot()
    told = "".join(root.itertext()).replace("\xa0", " ")
    assert root.tag.endswith("svg")
    assert "80 documents" in told
    assert "http" not in told.replace("https://www.textualize.io", "")
    assert "src:" not in told


def test_inspect_shows_quality_and_tree(run: Path):
    answer = lmindexer("inspect", run)
    assert (answer.code, answer.err) == (0, "")
    for told in ("80 documents, 4 first codes", "perplexity of c1 (of 4)", "AMI(c1, leaf: 10 labels)", "All 80 IDs"):
        assert told in answer.out
    assert re.search(r"and \d+ more", lmindexer("inspect", run, "--codes", 1).out)
    assert len(lmindexer("inspect", run, "--examples", 0).out) < len(answer.out)
    assert not re.search(r"and \d+ more", lmindexer("inspect", run, "--codes", 0, "--children", 0).out)


@pytest.mark.parametrize(
    ("name", "named", "kind"),
    [
        ("ids", "jsonl", "jsonl"),
        ("ids", "csv", "csv"),
        ("ids", "parquet", "parquet"),
        ("ids.jsonl", None, "jsonl"),
        ("ids.csv", None, "csv"),
        ("ids.PARQUET", None, "parquet"),
        ("ids.csv", "csv", "csv"),
        ("ids.tab", "csv", "csv"),
    ],
)
def test_export_writes_all_ids_as_the_file_is_called(
    name: str, named: str | None, kind: str, run: Path, tmp_path: Path
):
    out = tmp_path / name
    answer = lmindexer("export", run, "--out", out, *(["--format", named] if named else []))
    assert (answer.code, answer.out) == (0, "")
    ids = IdTable.load(run / "ids.parquet")
    if kind == "parquet":
        assert pq.read_table(out).column_names == ["id", "c1", "c2", "suffix"]
        assert IdTable.load(out) == ids
    else:
        lines = out.read_text().splitlines()
        codes = ids["doc3"]
        written = (
            f'{{"id": "doc3", "codes": {list(codes)}}}' if kind == "jsonl" else ",".join(map(str, ("doc3", *codes)))
        )
        assert lines[3 if kind == "jsonl" else 4] == written


@pytest.mark.parametrize(
    ("verb", "name", "named", "told"),
    [
        ("export", "ids.parquet", "csv", r"ids\.parquet is parquet by its name and --format says csv; leave one"),
        (
            "export",
            "ids",
            None,
            r"cannot tell the format of --out \S*ids; end it in one of \.jsonl, .*\.parquet, or give",
        ),
        ("export", "ids.xlsx", None, r"cannot tell the format of --out \S*ids\.xlsx"),
        ("compare", "table.json", "markdown", r"table\.json is json by its name and --format says markdown"),
        ("compare", "table.csv", None, r"cannot tell the format of --out \S*table\.csv; end it in one of \.md"),
        ("evaluate", "table.md", "json", r"table\.md is markdown by its name and --format says json"),
    ],
)
def test_a_file_is_what_its_name_says(verb: str, name: str, named: str | None, told: str, run: Path, tmp_path: Path):
    answer = lmindexer(verb, run, "--out", tmp_path / name, *(["--format", named] if named else []))
    assert (answer.code, answer.out) == (2, "")
    assert re.search(told, answer.err), answer.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["table.md", "table.json", "table"])
def test_compare_writes_what_the_name_says(name: str, run: Path, tmp_path: Path):
    assert lmindexer("compare", run, "--resamples", 0, "--out", tmp_path / name).code == 0
    text = (tmp_path / name).read_text()
    assert json.loads(text)["runs"] if name.endswith("json") else "| perplexity of c1" in text


def test_inspect_as_json_has_the_numbers_of_the_report_and_the_tree(run: Path):
    answer = lmindexer("inspect", run, "--codes", 2, "--children", 1, "--examples", 1, "--format", "json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    tree = found.pop("tree")
    assert found == Run.open(run).read_json("report.json")
    assert (tree["size"], len(tree["children"]), tree["left_out"]) == (80, 2, 2)
    assert all(len(child["children"]) == 1 and len(child["samples"]) == 1 for child in tree["children"])


LIGHT = {
    "inspect": ("inspect", "RUN"),
    "inspect as JSON": ("inspect", "RUN", "--format", "json"),
    "export": ("export", "RUN"),
    "compare": ("compare", "RUN", "--resamples", "20"),
    "explore": ("explore", "RUN", "--out", "OUT/page.html"),
    "pairs": ("pairs", "RUN", "--depth", "1", "--n", "2", "--out", "OUT/pairs.csv"),
    "pseudo": ("pseudo", "RUN", "--ways", "words", "--out", "OUT/pseudo.jsonl"),
}


@pytest.mark.parametrize("name", LIGHT)
def test_what_needs_no_model_does_not_load_torch(name: str, run: Path, tmp_path: Path):
    arguments = [part.replace("RUN", str(run)).replace("OUT", str(tmp_path)) for part in LIGHT[name]]
    command = (
        "import sys, lmindexer.cli as cli\ncli.main(sys.argv[1:])\n"
        "loaded = {'torch', 'transformers'} & set(sys.modules)\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_export_to_the_screen(run: Path):
    assert lmindexer("export", run).out == (run / "ids.jsonl").read_text()


def test_a_reader_that_stops_early_is_no_error(run: Path):
    read, write = os.pipe()
    os.close(read)
    stopped = subprocess.run(
        [sys.executable, "-m", "lmindexer", "export", str(run)], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert stopped.stderr == b""


def test_ctrl_c_says_how_to_go_on(
    items: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LMIndexer, "fit", interrupted)
    answer = lmindexer("learn", items, "--out", tmp_path / "run", "--backbone", checkpoints["bert"], *SMALL)
    assert answer.code == 130
    assert "the same command with --resume goes on" in answer.err


def test_the_demo_in_small(checkpoints: dict[str, Path], tmp_path: Path):
    demo = ("demo", "--out", tmp_path / "demo", "--backbone", checkpoints["bert"])
    answer = lmindexer(*demo, "--limit", 60, *SMALL)
    assert answer.code == 0, answer.err
    assert "60 documents, " in answer.out
    assert f"Run folder: {tmp_path / 'demo'}" in answer.out
    assert Run.open(tmp_path / "demo").config.max_tokens == 64
    again = lmindexer(*demo, "--resume")
    assert again.code == 0
    assert "is finished already" in again.err
