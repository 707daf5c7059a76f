import sysconfig
import warnings
from collections import Counter
from pathlib import Path

import pytest

from lmindexer.corpus.docstrings import LONGEST, prose, readable_name
from lmindexer.corpus.sources import python_documentation

SOUP = '''"""Soup kitchen for programs: it cooks vegetables slowly.

Parameters
----------
pot : Pot
    Where it cooks.
"""
raise RuntimeError("this module must never be imported")

class SlowCooker:
    r"""Cooks everything at a \\low temperature for a long time.

    >>> SlowCooker()
    """
    def stir_pot(self):
        """Stir the pot gently until nothing sticks to the ground.

        :param self: the cooker
        """
    def _hidden(self):
        """Nobody should ever read this private documentation text."""
    def short(self):
        """Too short."""

if True:
    def taste():
        """Take a spoon of the soup and say whether it needs salt."""
try:
    pass
except ImportError:
    async def taste_again():
        """Take a spoon  of the soup and say whether
        it needs salt."""
'''


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    def write(name: str, source: str | bytes) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.encode())

    doc = '"""A module about {} that has quite enough words to be read."""'
    write("kitchen/soup.py", SOUP)
    write("kitchen/__init__.py", doc.format("kitchens and cooking"))
    write("kitchen/_private.py", doc.format("secrets") + "\ndef shared():\n    " + doc.format("sharing"))
    write("kitchen/tests/test_soup.py", doc.format("testing soup"))
    write("kitchen/test_more.py", doc.format("testing more soup"))
    write("kitchen/_vendor/other.py", doc.format("somebody else"))
    write("kitchen/broken.py", doc.format("syntax") + "\ndef (:\n")
    write("kitchen/latin.py", doc.format("caf\xe9s").encode("latin-1"))
    write("kitchen/huge.py", doc.format("size") + "\n" + "x = 1\n" * 400_000)
    write("site-packages/nested.py", doc.format("nested places"))
    write("kitchen-1.0.dist-info/data.py", doc.format("metadata"))
    write("single.py", doc.format("being alone"))
    for n in range(30):
        write(f"large/part{n}.py", doc.format(f"{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]} things"))
    return tmp_path


def test_what_becomes_a_document(packages: Path):
    corpus = python_documentation([packages])
    ids = [id for id in corpus.doc_ids if not id.startswith("large")]
    assert ids == [
        "kitchen",
        "kitchen._private.shared",
        "kitchen.soup",
        "kitchen.soup.SlowCooker",
        "kitchen.soup.SlowCooker.stir_pot",
        *[id for id in ids if id.startswith("kitchen.soup.taste")],
        "single",
    ]
    assert len([id for id in ids if "taste" in id]) == 1  # the same docstring twice
    stirring = corpus[corpus.row_of["kitchen.soup.SlowCooker.stir_pot"]]
    assert stirring.text == ("Slow Cooker stir pot: Stir the pot gently until nothing sticks to the ground.")
    assert stirring.label == ("kitchen", "kitchen.soup")
    soup = corpus[corpus.row_of["kitchen.soup"]]
    assert soup.text == "soup: Soup kitchen for programs: it cooks vegetables slowly."


def test_a_sample_is_fair_to_small_packages_and_always_the_same(packages: Path):
    corpus = python_documentation([packages], limit=7)
    counts = Counter(label[0] for label in corpus.labels or [])
    assert counts == {"kitchen": 3, "large": 3, "single": 1}
    assert list(corpus.doc_ids) == sorted(corpus.doc_ids)
    assert corpus.fingerprint == python_documentation([packages], limit=7).fingerprint
    assert set(corpus.doc_ids) != set(python_documentation([packages]).doc_ids[:7])


def test_the_standard_library_is_a_real_corpus(capsys: pytest.CaptureFixture[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = python_documentation([Path(sysconfig.get_path("stdlib"))], limit=300)
    assert len(corpus) == 300
    assert capsys.readouterr() == ("", "")
    assert len({label[0] for label in corpus.labels or []}) > 100
    for document in corpus:
        assert document.id.startswith(document.label[1])
        assert ">>>" not in document.text
        assert "`" not in document.text


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the ``mean`` of :class:`~torch.Tensor` values along an axis.\n\nArgs:\n    x: y",
         "Return the mean of Tensor values along an axis."),
        ("sum(x, /) -> int\n\nAdd all of the numbers together in order.\n\nExample::\n\n    sum([1])",
         "Add all of the numbers together in order."),
        ("Title of a page\n===============\n\nIt has *one* line of **bold** prose, see `the guide <http://x.y>`_.",
         "Title of a page. It has one line of bold prose, see the guide."),
        ("Cook the soup until it is entirely done\n\n.. versionadded:: 3.1\n   in a hurry\n\nThen serve it.",
         "Cook the soup until it is entirely done. Then serve it."),
        ("Return the middle one of all values.\n\n>>> median([1, 3, 5])\n3\n\nThe list is sorted first.",
         "Return the middle one of all values. The list is sorted first."),
        ("Parameters\n----------\nx : int\n    The number of vegetables that go into the pot.", ""),
        ("x = a + b * c - d / e % f ** g // h @ i & j | k ^ ~l", ""),
        ("Too short to be read.", ""),
    ],
)  # fmt: skip
def test_prose_by_hand(docstring: str, expected: str):
    assert prose(docstring) == expected


def test_prose_is_cut_after_a_sentence():
    text = prose("This sentence of prose is repeated many times over. " * 40)
    assert LONGEST // 2 < len(text) <= LONGEST
    assert text.endswith("over.")


def test_names_are_read_as_words():
    assert readable_name("JSONDecoder.raw_decode") == "JSON Decoder raw decode"
    assert readable_name("_internal.HTTPServer2Go") == "internal HTTP Server2 Go"
