"""What --help says over all verbs: one meaning a flag, one way to show a default, every verb in its place."""

import re
from collections import defaultdict
from dataclasses import fields

import click
import pytest

import lmindexer.cli
from command_line import lmindexer
from lmindexer.cli.app import JOURNEY, app
from lmindexer.cli.learning import DEMO
from lmindexer.flags import Setting

SWITCH, CHOICE = "switch", "choice"
# of every flag that several verbs have: its kind of value, and what every help of it says in its own words
MEANINGS = {
    "--b": ("FLOAT", r"how much long texts pay"),
    "--backbone": ("TEXT", r"'bundled', a Hugging Face name or a local folder"),
    "--batch-size": ("INT", r"a step"),
    "--beams": ("INT", r"prefixes"),
    "--checkpoint-seconds": ("FLOAT", r"time between checkpoints"),
    "--clip": ("FLOAT", r"gradients are clipped"),
    "--config": ("PATH", r"TOML file with the settings"),
    "--decoder-layers": ("INT", r"layers of the small decoder"),
    "--device": ("TEXT", r"cpu, cuda"),
    "--dev-queries": ("INT", r"how many of the dev queries"),
    "--dropout": ("FLOAT", r"dropout of all that learns"),
    "--embeddings": ("TEXT", r"vectors?\b.*\.npy|\.npy.*vector"),
    "--encoder": (CHOICE, r"how much of the .*encoder learns"),
    "--encoder-learning-rate": ("FLOAT", r"learning rate of a pretrained backbone's own layers"),
    "--epochs": ("INT", r"epochs (of full training|at most)"),
    "--exact": (SWITCH, r"Find the true best"),
    "--format": (CHOICE, r"Form of the output"),
    "--fusion": (CHOICE, r"reciprocal rank"),
    "--id": ("TEXT", r"column (that holds the document's id|of the (document's )?id)"),
    "--k1": ("FLOAT", r"how soon repeating a word stops to count"),
    "--keep-empty": (SWITCH, r"without any text"),
    "--keep-going": (SWITCH, r"Go on even if .*most"),
    "--keep-markup": (SWITCH, r"HTML tags"),
    "--label": ("TEXT", r"column (of the label|with a category)"),
    "--learning-rate": ("FLOAT", r"learning rate"),
    "--max-tokens": ("INT", r"cut after.* this many tokens"),
    "--method": (CHOICE, r"What (answers|is taught)"),
    "--novelty": ("FLOAT", r"Nats that documents gain"),
    "--out": ("PATH", r"run folder|write|sheet"),
    "--partner": (CHOICE, r"What hybrid fuses generated IDs with"),
    "--patience": ("INT", r"stop after so many epochs without a"),
    "--precision": (CHOICE, r"bfloat16"),
    "--qrels": ("PATH", r"judgements"),
    "--queries": ("PATH", r"a BEIR folder, or JSONL of queries"),
    "--quiet": (SWITCH, r"Print nothing but notes"),
    "--renormalise": (SWITCH, r"below its prefix"),
    "--resume": (SWITCH, r"Go on with a .* that was stopped"),
    "--score": (CHOICE, r"What a document scores in generative"),
    "--scoring": (CHOICE, r"What (a document scores|documents score)"),
    "--seed": ("INT", r"(the same|another) seed"),
    "--skip-bad": (SWITCH, r"Leave out broken records"),
    "--stem": ("TEXT", r"language in which .*stem"),
    "--stop-words": (CHOICE, r"words that do not count beside others"),
    "--temperature": ("FLOAT", r"in cosines: lower, only near documents"),
    "--text": ("TEXT", r"columns (that hold|of) the text"),
    "--top-layers": ("INT", r"encoder layers that learn with --encoder top"),
    "--warmup-epochs": ("INT", r"warm-up|first read each document"),
    "--weight-decay": ("FLOAT", r"AdamW"),
    "--weights": ("FLOAT,FLOAT", r"partner and generated IDs"),
    "-k": ("INT", r"How many documents"),
}


def options_of(verb: str) -> list[click.Option]:
    return [parameter for parameter in app.commands[verb].params if isinstance(parameter, click.Option)]


def by_flag() -> dict[str, list[click.Option]]:
    """The options of each flag that several verbs have; demo has the settings of learn, so it does not count."""
    found = defaultdict(list)
    for verb in app.commands:
        for option in options_of(verb):
            if verb != "demo" or not isinstance(option, Setting):
                found[option.opts[0]].append(option)
    return {flag: options for flag, options in found.items() if len(options) > 1}


def kind_of(option: click.Option) -> str:
    """What stands behind the flag: nothing, one of several words, or values of this kind, one or a list."""
    if option.is_flag:
        return SWITCH
    metavar = (option.metavar or str(option.type.name).upper()).removesuffix(",...")
    return CHOICE if isinstance(option.type, click.Choice) or "|" in metavar else metavar


def test_every_meaning_is_of_a_flag_of_several_verbs():
    assert MEANINGS.keys() <= by_flag().keys()


@pytest.mark.parametrize("flag", sorted(by_flag()))
def test_one_flag_means_one_thing(flag: str):
    assert flag in MEANINGS, f"several verbs have {flag}; say here in one line what it means in all of them"
    kind, words = MEANINGS[flag]
    options = by_flag()[flag]
    assert {kind_of(option) for option in options} == {kind}
    for option in options:
        assert re.search(words, option.help or "", re.IGNORECASE), option.help


@pytest.mark.parametrize("verb", app.commands)
def test_defaults_are_shown_in_one_way(verb: str):
    """In brackets at the end of the help, and nothing else stands there: no name, no range, no second pair."""
    context = click.Context(app.commands[verb], info_name=verb)
    for option in options_of(verb):
        flag, help = option.get_help_record(context) or ("", "")
        assert "[" not in flag, f"{flag}: brackets are for defaults"
        assert not re.search(r"\[default:|x>|x<|\]\s+\[", help), help
        default = option.to_info_dict()["default"]
        if isinstance(option, Setting):
            default = {field.name: field.metadata["default"] for field in fields(option.kind)}[option.name or ""]
            default = DEMO.get(option.name or "", default) if verb == "demo" else default
            default = {True: "on", False: "off"}[default] if isinstance(default, bool) else default
        elif option.is_flag:
            continue
        if default not in (None, "", ()):
            shown = ",".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
            assert re.search(rf" \[{re.escape(shown)}(; [a-z].*)?\]$", help), help


def test_the_verbs_stand_under_the_steps_of_the_journey():
    assert sorted(verb for verbs in JOURNEY.values() for verb in verbs) == sorted(app.commands)
    lines = [line for line in lmindexer().out.splitlines() if line]
    begin = lines.index("Learn IDs:")
    found: dict[str, list[str]] = {}
    for line in lines[begin:]:
        if line.endswith(":") and not line.startswith(" "):
            step = line[:-1]
        else:
            found.setdefault(step, []).append(line.split()[0])
    assert found == {step: list(verbs) for step, verbs in JOURNEY.items()}
