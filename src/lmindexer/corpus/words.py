"""The words of a text: one rule for all that count words (BM25, neighbours by words, the words that tell a code).

- A word is two or more letters, digits or _ in a row, in lower case, as in scikit-learn and bm25s.
- Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces between words: there every sign is a
  word, and every two neighbours are one. A sign is a letter with the marks on it.
- In the scripts of India vowels are marks, which belong to their word.

A text of several scripts has the words of each.
"""

import re
from itertools import pairwise

LETTERS = (  # of scripts without spaces
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46"  # Thai
    "\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"  # Lao
    "\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"  # Burmese
    "\u1780-\u17b3\u17d7\u17dc"  # Khmer
    "\u3005-\u3007\u3031-\u3035\u303b\u303c\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese; above, Japanese
)
MARKS = (  # on these letters
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d"
    "\u17b4-\u17d3\u17dd\u3099\u309a"
)
UNSPACED = LETTERS + MARKS
SIGN = rf"[{UNSPACED}][{MARKS}]*"
INDIC = "\u0900-\u0963\u0966-\u096f\u0971-\u0df3"  # letters, marks and digits

_OTHER = rf"[^\W{UNSPACED}{INDIC}]"
_WORD = re.compile(rf"[{UNSPACED}]+|[{INDIC}]{{2,}}|{_OTHER}{{2,}}")
_ANY_WORD = re.compile(rf"[{UNSPACED}]+|[{INDIC}]+|{_OTHER}+[+#]*")
_UNSPACED, _SIGN = re.compile(rf"[{UNSPACED}]"), re.compile(SIGN)


def words_of(text: str) -> list[str]:
    """The words of a text as they come; of a script without spaces all signs, then all pairs."""
    return _parted(_WORD, text)


def all_words_of(text: str) -> list[str]:
    """Those of one letter, too, and the + and # behind a name: c++ and c# are no c."""
    return _parted(_ANY_WORD, text)


def _parted(pattern: re.Pattern[str], text: str) -> list[str]:
    text = text.lower()
    found = pattern.findall(text)
    if not _UNSPACED.search(text):
        return found
    words: list[str] = []
    for run in found:
        if _UNSPACED.match(run):
            signs = _SIGN.findall(run)
            words += signs
            words += [first + second for first, second in pairwise(signs)]
        else:
            words.append(run)
    return words
