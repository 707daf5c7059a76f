"""The settings: wrong ones are named with the way out, right ones survive the journey through TOML."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import lmindexer
from lmindexer.config import INDEXER_NAMES, SEQUENTIAL, FinetuneConfig, LearnConfig, from_mapping
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.two_step import TwoStepIndexer
from lmindexer.settings import counting, parse, read_toml, same_settings, to_toml


def test_defaults_are_sound_and_told():
    config = LearnConfig()
    assert from_mapping({}) == config
    for f in dataclasses.fields(config):
        assert f.metadata["help"], f.name
        assert f.metadata["group"], f.name


def test_the_encoder_is_frozen_on_every_machine_unless_told_otherwise():
    assert LearnConfig().encoder == "frozen"
    with pytest.raises(InputError, match="encoder must be one of frozen, top, full, not 'auto'"):
        from_mapping({"encoder": "auto"})


OURS = {
    "alignment": (0.0,), "spread": 0.0, "crowding": 0.0, "weigh_tokens": False, "softmax": "full",
    "restart_dead_codes": False, "settle_epochs": 0, "indexer_learning_rate": (1e-3,),
    "learning_rate": 1e-3, "rebuilt_tokens": 0, "reconstructor_epochs": 3, "warmup_epochs": 2, "epochs": 8,
    "first_epochs": 0,
}  # fmt: skip


@pytest.mark.parametrize("make", [LearnConfig, lambda **given: from_mapping(given), LearnConfig().replace])
def test_the_papers_objective_switches_off_all_that_is_ours(make: Any):
    paper = make(objective="paper")
    assert {name: getattr(paper, name) for name in OURS} == OURS
    assert paper.replace(objective="default") == LearnConfig()
    changed = {f.name for f in dataclasses.fields(paper) if getattr(paper, f.name) != getattr(LearnConfig(), f.name)}
    assert changed <= OURS.keys() | {"objective", "gradient_temperature"}


def test_a_setting_that_is_given_wins_over_the_objective():
    default = LearnConfig()
    paper = LearnConfig(objective="paper", spread=default.spread, alignment=(3.0,))
    assert (paper.spread, paper.alignment, paper.crowding) == (default.spread, (3.0,), 0.0)
    assert paper.replace(seed=3).spread == default.spread
    assert paper.replace(objective="paper") == paper
    assert from_mapping(tomllib.loads(to_toml(paper))) == paper, "a run keeps what it resolved to"
    assert default.replace(objective="paper", softmax="batch").softmax == "batch"


def test_a_config_does_not_change_but_is_replaced():
    config = LearnConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 3  # type: ignore[misc]
    assert config.replace(seed=3).seed == 3
    with pytest.raises(InputError):
        config.replace(batch_size=0)


@pytest.mark.parametrize(
    ("key", "near"),
    [("size", "sizes"), ("learning-rat", "learning_rate"), ("epoch", "epochs"), ("batchsize", "batch_size")],
)
def test_an_unknown_key_names_the_near_one(key: str, near: str):
    with pytest.raises(InputError) as error:
        from_mapping({key: 1}, "beauty.toml")
    assert str(error.value) == f"beauty.toml: unknown key {key!r}; did you mean {near!r}?"


def test_an_unknown_key_near_nothing_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown key 'xyzzy'; known keys: .*sizes.*seed"):
        from_mapping({"xyzzy": 1})


def test_dashes_are_as_good_as_underscores():
    assert from_mapping({"batch-size": 7}) == from_mapping({"batch_size": 7}) == LearnConfig(batch_size=7)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ("256,256", (256, 256)),
        ("8, 4 ,", (8, 4)),
        ([8, 4], (8, 4)),
        ((8,), (8,)),
        (8, (8,)),
        ("8", (8,)),
        ([8.0], (8,)),
    ],
)
def test_lists_of_numbers(given: Any, sizes: tuple[int, ...]):
    config = from_mapping({"sizes": given})
    assert config.sizes == sizes
    assert all(type(size) is int for size in config.sizes)


def test_other_lists():
    config = from_mapping({"text": "title, brand", "hints": "0.5,0.2"})
    assert config.text == ("title", "brand")
    assert config.hints == (0.5, 0.2)
    assert from_mapping({"text": ["title, subtitle"]}).text == ("title, subtitle",)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("epochs", "many", "int"),
        ("epochs", 1.5, "int"),
        ("epochs", True, "int"),
        ("epochs", None, "int"),
        ("epochs", [3], "int"),
        ("epochs", float("inf"), "int"),
        ("learning_rate", "fast", "float"),
        ("learning_rate", False, "float"),
        ("center", "yes", "bool"),
        ("center", 1, "bool"),
        ("device", ["cpu"], "str"),
        ("sizes", "8,x", "a list of int"),
        ("sizes", [8, 2.5], "a list of int"),
        ("sizes", {"a": 1}, "a list of int"),
    ],
)
def test_a_wrong_type_is_named(key: str, value: Any, wanted: str):
    with pytest.raises(InputError) as error:
        from_mapping({key: value}, "beauty.toml")
    assert str(error.value).startswith(f"beauty.toml: {key} must be {wanted}, not ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", (8, 0)),
        ("hints", ()),
        ("hints", (1.0,)),
        ("hints", (0.5, -0.1)),
        ("hints", (float("nan"),)),
        ("encoder", "warm"),
        ("objective", "best"),
        ("gradient_temperature", 0.0),
        ("softmax", "half"),
        ("precision", "fp8"),
        ("epochs", 0),
        ("batch_size", 0),
        ("max_tokens", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("decoder_layers", 0),
        ("reconstructor_layers", 0),
        ("warmup_epochs", -1),
        ("contrastive", -0.5),
        ("contrastive", float("nan")),
        ("crowding", -1.0),
        ("seed", -1),
        ("dropout", -0.1),
        ("dropout", 1.0),
        ("clip", 0.0),
    ],
)
def test_a_bad_value_is_named(key: str, value: Any):
    with pytest.raises(InputError, match=rf"^{key} must "):
        LearnConfig(**{key: value})


def test_what_is_off_may_be_zero():
    off = ("reconstruction", "contrastive", "commitment", "alignment", "crowding", "dropout", "settle_epochs")
    LearnConfig(**dict.fromkeys((*off, "warmup_epochs", "reconstructor_epochs", "seed"), 0), hints=(0.0,))


def test_the_last_value_of_a_setting_per_position_holds_for_all_that_follow():
    config = LearnConfig(hints=(0.5, 0.3))
    assert [config.at("hints", t) for t in range(4)] == [0.5, 0.3, 0.3, 0.3]


rates = st.floats(0.0, 1e3, allow_nan=False)


@settings(max_examples=60)
@given(
    text=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=3),
    backbone=st.text(st.characters(codec="utf-8"), max_size=8),
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    contrastive=rates,
    center=st.booleans(),
    objective=st.sampled_from(["default", "paper"]),
)
def test_toml_brings_back_the_same_config(
    text: list[str], backbone: str, sizes: list[int], contrastive: float, center: bool, objective: str
):
    config = LearnConfig(
        text=tuple(text),
        backbone=backbone,
        sizes=tuple(sizes),
        contrastive=contrastive,
        center=center,
        objective=objective,
    )
    assert from_mapping(tomllib.loads(to_toml(config))) == config


def test_a_config_that_checkpoints_only_at_the_end_survives_toml():
    config = LearnConfig(checkpoint_seconds=float("inf"))
    assert from_mapping(tomllib.loads(to_toml(config))) == config


def test_a_recipe_is_read_from_a_file(tmp_path: Path):
    recipe = tmp_path / "beauty.toml"
    recipe.write_text('# Beauty, one hour\nsizes = [512, 512]\ntext = ["title", "brand"]\nlearning_rate = 1e-4\n')
    config = from_mapping(read_toml(recipe), str(recipe))
    assert config == LearnConfig(sizes=(512, 512), text=("title", "brand"), learning_rate=1e-4)


def test_a_recipe_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match=r"there is no recipe .*gone\.toml"):
        read_toml(tmp_path / "gone.toml")
    deep, long = b"seed = " + b"[" * 10_000, b"seed = " + b"9" * 10_000
    for name, content in (
        ("broken.toml", b"sizes = [512"), ("binary.toml", b"\xff\xfe\x00"), ("deep.toml", deep), ("long.toml", long)
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} is not valid TOML"):
            read_toml(tmp_path / name)


def test_a_setting_counts_for_what_it_says():
    of_hc = {f.name for f in counting(LearnConfig(indexer="hc"))}
    assert {"clusters", "leaf", "embeddings", "max_tokens", "seed"} <= of_hc
    assert not of_hc & {"sizes", "epochs", "vae_epochs", "simcse_epochs", "backbone", "hints"}
    of_simcse = {f.name for f in counting(LearnConfig(indexer="rq-vae", embeddings="simcse"))}
    assert {"simcse_epochs", "backbone", "vae_epochs", "sizes", "checkpoint_seconds"} <= of_simcse
    assert not of_simcse & {"clusters", "epochs"}
    assert not {f.name for f in counting(LearnConfig())} & {"embeddings", "clusters", "vae_epochs", "simcse_epochs"}
    assert {f.name for f in counting(FinetuneConfig(task="recommend"))} >= {"items", "samples", "max_items"}
    assert "document_share" not in {f.name for f in counting(FinetuneConfig(task="recommend"))}
    assert "items" not in {f.name for f in counting(FinetuneConfig(task="search"))}


@pytest.mark.parametrize("kind", [LearnConfig, FinetuneConfig])
def test_every_setting_counts_for_something_that_there_is(kind: type):
    known = {
        *INDEXER_NAMES, "imported", "simcse", "a file of vectors", "search", "recommend", "generative", *SEQUENTIAL,
        "generative to search", "generative to recommend", "--loss sampled", "--loss bce", "networks", "bm25",
        "dual-encoder", "seal", "--dense-loss",
    }  # fmt: skip
    for f in dataclasses.fields(kind):
        assert set(f.metadata["of"]) <= known, f.name


def test_a_run_keeps_the_settings_that_count():
    kept = tomllib.loads(to_toml(LearnConfig(indexer="hc", clusters=7, epochs=3)))
    assert kept["clusters"] == 7
    assert "epochs" not in kept
    assert same_settings(from_mapping(kept), LearnConfig(indexer="hc", clusters=7, epochs=3))
    assert not same_settings(from_mapping(kept), LearnConfig(indexer="hc", clusters=8))
    assert not same_settings(LearnConfig(indexer="hc"), LearnConfig(indexer="random"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: TwoStepIndexer(indexer="hc", epochs=3), "epochs is a setting of lmindexer, not of hc; leave it out"),
        (lambda: TwoStepIndexer(indexer="rq-vae", leaf=3), "leaf is a setting of hc, not of rq-vae"),
        (lambda: LMIndexer(vae_epochs=3), "vae_epochs is a setting of rq-vae, not of lmindexer"),
        (lambda: TwoStepIndexer(indexer="hc", simcse_epochs=3), "simcse_epochs is a setting of simcse, not of hc"),
    ],
)
def test_a_setting_of_another_indexer_is_refused(make: Any, reason: str):
    with pytest.raises(InputError, match=reason):
        make()


def test_help_shows_the_settings_of_the_one_that_is_named():
    def flags_of(*arguments: str) -> str:
        return lmindexer(*arguments, "--help").out

    whole, hc = flags_of("learn"), flags_of("learn", "--indexer", "hc")
    assert "--clusters" in hc and "--clusters" in whole  # noqa: PT018
    assert "--vae-epochs" in whole and "--vae-epochs" not in hc  # noqa: PT018
    assert "(rq-vae)" in whole and "(" + "hc)" not in hc  # noqa: PT018
    simcse = flags_of("learn", "--indexer=rq-vae", "--embeddings", "simcse")
    assert "--simcse-epochs" in simcse and "--backbone" in simcse and "--clusters" not in simcse  # noqa: PT018
    sasrec = " ".join(flags_of("finetune", "--method", "sasrec").split())
    assert "so many of the newest items are read [50]" in sasrec, "it recommends, and by its own default"
    assert "epochs at most [10; sasrec, gru4rec, bert4rec, hgn, fdsa, fmlp: 80]" in " ".join(
        flags_of("finetune").split()
    )
    search = flags_of("finetune", "--task", "search")
    assert "--document-share" in search and "--items " not in search  # noqa: PT018


@pytest.mark.parametrize("verb", ["learn", "demo", "finetune"])
def test_a_verb_without_words_is_answered(verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lmindexer.cli.learning._fit", lambda *arguments: None)
    answer = lmindexer(verb)
    assert answer.code == (0 if verb == "demo" else 2), answer.err
    assert "Traceback" not in answer.err


def test_a_flag_and_a_recipe_are_blamed_for_their_own(tmp_path: Path):
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "b"}\n')
    (tmp_path / "r.toml").write_text('indexer = "hc"\n')
    answer = lmindexer("learn", tmp_path / "items.jsonl", "--config", tmp_path / "r.toml", "--epochs", 3, "--out", "x")
    assert "the command line: epochs is a setting of lmindexer, not of hc" in answer.err


def test_a_renamed_setting_is_named():
    with pytest.raises(InputError, match="unknown key 'lr'; it is 'learning_rate' now"):
        parse(FinetuneConfig, {"lr": [1e-3]})


def test_a_flag_or_recipe_of_another_indexer_is_refused(tmp_path: Path):
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "b"}\n')
    (tmp_path / "r.toml").write_text('indexer = "hc"\nvae_epochs = 3\n')
    for flags, origin in (
        (("--indexer", "hc", "--vae-epochs", 3), "the command line"),
        (("--config", tmp_path / "r.toml"), "r.toml"),
    ):
        answer = lmindexer("learn", tmp_path / "items.jsonl", *flags, "--out", tmp_path / "run")
        assert answer.code == 2
        assert re.search(f"{origin}: vae_epochs is a setting of rq-vae, not of hc; leave it out", answer.err)
        assert not (tmp_path / "run").exists()
