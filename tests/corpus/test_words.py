"""What counts as a word, in scripts with spaces between words and without."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.corpus.words import INDIC, UNSPACED, all_words_of, words_of

LATIN = st.text(st.characters(codec="utf-8").filter(lambda c: not re.match(f"[{UNSPACED}{INDIC}]", c)))


@given(LATIN)
def test_with_spaces_words_are_those_of_scikit_learn_and_bm25s(text: str):
    assert words_of(text) == re.findall(r"(?u)\b\w\w+\b", text.lower())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("红色的桥", ["红", "色", "的", "桥", "红色", "色的", "的桥"]),
        ("水", ["水"]),
        ("第0号", ["第", "号"]),
        ("iPhone15手机 and 水", ["iphone15", "手", "机", "手机", "and", "水"]),
        ("カタ・漢", ["カ", "タ", "カタ", "漢"]),
        ("ที่ดี ไป", ["ที่", "ดี", "ที่ดี", "ไ", "ป", "ไป"]),  # Thai: vowels and tones stay on their letter
        ("ສາລາວ", ["ສ", "າ", "ລ", "າ", "ວ", "ສາ", "າລ", "ລາ", "າວ"]),  # Lao
        ("မြန်မာ", ["မြ", "န်", "မာ", "မြန်", "န်မာ"]),  # Burmese
        ("ខ្មែរ។", ["ខ្", "មែ", "រ", "ខ្មែ", "មែរ"]),  # Khmer, with its full stop
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("한국어 물", ["한국어"]),
        ("𠮷野", ["𠮷", "野", "𠮷野"]),
    ],
)
def test_without_spaces_signs_and_pairs_are_words(text: str, words: list[str]):
    assert words_of(text) == words


def test_all_words_are_also_those_of_one_letter_and_names_with_signs():
    assert all_words_of("C++, C#, c and .NET: to R 5 g") == ["c++", "c#", "c", "and", "net", "to", "r", "5", "g"]
    assert all_words_of("물 и क") == ["물", "и", "क"]
    assert words_of("C++ C# R 5 g 물 и क") == []
