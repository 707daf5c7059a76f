"""WAYS: what a document itself says that could be asked for it, without a model.

Every way takes words of the document in their order, so its queries are never about anything else. A
document too short for a way gives none.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from lmindexer.corpus.words import SIGN, UNSPACED

TITLE_WORDS = 16  # a first sentence of no more is a title
OPENING_WORDS = 12  # taken where no end of a title shows
SENTENCE_WORDS = 32
SPAN_WORDS = (3, 12)
TYPED_WORDS = (2, 5)
TYPED_AMONG = 10
PASSAGE_WORDS = 64

WORD = re.compile(rf"{SIGN}|[^\s{UNSPACED}]+")  # of scripts without spaces each sign counts as a word
IS_SIGN = re.compile(SIGN).fullmatch
CORE = re.compile(r"\w(?:[^(\[{]*\w)?")  # a word without the signs around it, and without what it has in brackets
ABBREVIATION = re.compile(r"\W*(?:\w|\w+(?:\.\w+)+|mr|mrs|ms|dr|st|prof|sr|jr|vs|no|fig|ca|cf|fl|oz|approx)\.", re.I)
STOPS = frozenset(".!?\u3002\uff01\uff1f")
DASHES = frozenset("-|/~\u2013\u2014")
QUOTES = "\"'\u2018\u2019\u201c\u201d"
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
LOOSE = ",;: " + "".join(sorted(DASHES))  # nothing begins or ends with them
SIGNS = LOOSE + QUOTES + ".!?()[]{}<>*"

OPENERS = frozenset(("the", "a", "an", "in", "on", "at"))
UNITS = frozenset(("cm", "ct", "fl", "ft", "kg", "lb", "lbs", "mg", "ml", "mm", "ounce", "ounces", "oz"))
FUNCTION_TEXT = """
a about above according after again against all also although always am among an and another any are around as
at be because been before being below between both but by can cannot could despite did do does doing down during
each either else even ever every few for from further had has have having he hence her here hers him his how
however i if in into is it its itself just least less like many may me might more most much must my near neither
never no nor not now of off often on once one only onto or other others our ours out over own per rather same
several she should since so some still such than that the their theirs them then there these they this those
though through thus to too toward towards under until up upon us very via was we well were what when where
whether which while who whom whose why will with within without would yet you your yours
"""
FUNCTION_WORDS = frozenset(FUNCTION_TEXT.split())


class Word(NamedTuple):
    """What is known of a word by how it is written."""

    form: str  # lower case, without the signs around it; a genitive without its s
    is_telling: bool  # begins with a letter, and is no function word and no unit
    may_open: bool  # a sentence
    may_end: bool  # a sentence
    breaks_before: bool
    breaks_behind: bool  # there a phrase cannot go on


@lru_cache(2**18)
def word_of(written: str) -> Word:
    core = CORE.search(written.lower())
    form = core[0].removesuffix("'s").removesuffix("\u2019s") if core else ""
    form = written if IS_SIGN(written) else form  # with its marks
    is_word = form[:1].isalpha() and (len(form) > 1 or ord(form) > 0x2E80 or IS_SIGN(form) is not None)
    end = written.rstrip("".join(CLOSING) + QUOTES)[-1:]
    return Word(
        form,
        is_telling=is_word and form not in FUNCTION_WORDS and form not in UNITS,
        may_open=not written.lstrip("".join(OPENING) + QUOTES)[:1].islower() or written.lower() != written,
        may_end=end in STOPS and not ABBREVIATION.fullmatch(written),
        breaks_before=written[0] in OPENING or written in DASHES,
        breaks_behind=written[-1] in ";:" or written in DASHES or written.rstrip(".,!?" + QUOTES)[-1:] in CLOSING,
    )


@dataclass(frozen=True, eq=False)
class Text:
    """A document of L words."""

    text: str
    places: tuple[tuple[int, int], ...]  # L: where each word begins and ends
    words: tuple[Word, ...]  # L
    weight: np.ndarray  # (L,) idf of telling words, 0 of others

    def __len__(self) -> int:
        return len(self.words)

    def between(self, start: int, end: int, strip: str = LOOSE) -> str:
        """Words `start` to `end` (exclusive) as they are written, without the signs `strip` around them."""
        return self.text[self.places[start][0] : self.places[end - 1][1]].strip(strip) if start < end else ""

    def sentence_end(self, start: int) -> int:
        """Behind which word the sentence that begins at `start` ends (exclusive)."""
        for at in range(start, len(self) - 1):
            if self.words[at].may_end and self.words[at + 1].may_open:
                return at + 1
        return len(self)

    @cached_property
    def title_end(self) -> int:
        """How many words the title has; 0 where it cannot be told.

        A document's columns are one line of text, so this is a guess. A title ends where a sentence begins that
        has a function word with a capital ("Pharmacy In the US"); else it is a short first sentence; else it ends
        before a free-standing dash, or where its words come again ("European Union law European Union law is").
        """
        first = self.sentence_end(0)
        is_prose = first > TITLE_WORDS or (first > 0 and self.words[first - 1].may_end)
        most = min(OPENING_WORDS, first - 2)
        for n in range(1, most + 1 if is_prose else 0):
            if self._restarts(n, anyway=first > TITLE_WORDS):
                return n
        if first <= TITLE_WORDS:
            return first
        for n in range(1, most + 1):
            if self.text[slice(*self.places[n])] in DASHES:
                return n
        forms = [word.form for word in self.words[: 2 * most]]
        return next((n for n in range(most, 0, -1) if forms[:n] == forms[n : 2 * n]), 0)

    def _restarts(self, n: int, anyway: bool) -> bool:
        """Whether word n begins a sentence though none has ended, as "In" of "Pharmacy In the US".

        In "Coastal Scents The Brush Guard" the next word has a capital, too: there only if it is so `anyway`, and
        never at the words that a title writes with a capital as often ("Sites Are Required").
        """
        before, written, behind = (self.text[slice(*self.places[at])] for at in (n - 1, n, n + 1))
        is_opener = written[0].isupper() and (written == "A" or not written.isupper())
        if not is_opener or self.words[n].form not in FUNCTION_WORDS or not before[-1].isalnum():
            return False
        return (anyway and self.words[n].form in OPENERS) if behind[0].isupper() else True


class Weigher:
    """Counts in how many documents each word is; then makes a `Text` of each, words weighed by idf.

    idf = log(1 + N / df), above 0 also for a word of every document.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.frequency: Counter[str] = Counter()
        self.N = 0
        for text in texts:
            self.N += 1
            self.frequency.update({word_of(written).form for written in set(WORD.findall(text))})

    def __call__(self, text: str) -> Text:
        places = tuple(match.span() for match in WORD.finditer(text))
        words = tuple(word_of(text[start:end]) for start, end in places)
        frequency = np.array([self.frequency[word.form] if word.is_telling else np.inf for word in words])
        weight = np.where(np.isinf(frequency), 0, np.log1p(self.N / np.maximum(frequency, 1)))
        return Text(text, places, words, weight)


def title(text: Text, dice: random.Random, n: int) -> list[str]:
    """The opening: its title where one shows (`Text.title_end`), else the first 12 words."""
    end = text.title_end
    if not end:
        end = min(len(text), OPENING_WORDS)
        while end > 1 and not text.words[end - 1].is_telling:  # a cut inside a sentence
            end -= 1
    return _kept([text.between(0, end)][:n])


def first_sentence(text: Text, dice: random.Random, n: int) -> list[str]:
    """The first sentence behind the title, at most 32 words of it; none of fewer than 3."""
    start = text.title_end
    end = min(text.sentence_end(start), start + SENTENCE_WORDS)
    return _kept([text.between(start, end)][:n]) if end - start >= SPAN_WORDS[0] else []


def spans(text: Text, dice: random.Random, n: int) -> list[str]:
    """Telling phrases that do not overlap, of 3 to 12 words.

    For each a length is drawn; the phrase of that length with the highest mean idf is taken, or of the next
    shorter one where none is left. It begins and ends with a telling word and stays in one clause.
    """
    telling = text.weight > 0
    borders = [
        before.breaks_behind or word.breaks_before or (before.may_end and word.may_open)
        for before, word in zip(text.words[:-1], text.words[1:], strict=True)
    ]
    clause = np.cumsum([0, *borders])  # (L,)
    before_word = np.concatenate([[0.0], np.cumsum(text.weight)])  # (L + 1)
    is_taken, found = np.zeros(len(text), dtype=bool), []
    for _ in range(n):
        for length in range(min(dice.randint(*SPAN_WORDS), len(text)), SPAN_WORDS[0] - 1, -1):
            first, last = slice(0, len(text) - length + 1), slice(length - 1, len(text))
            is_free = np.convolve(is_taken, np.ones(length), "valid") == 0
            may = is_free & telling[first] & telling[last] & (clause[first] == clause[last])
            if may.any():
                start = int(np.where(may, before_word[length:] - before_word[:-length], -1.0).argmax())
                is_taken[start : start + length] = True
                found.append(text.between(start, start + length, strip=SIGNS))
                break
    return _kept(found)


def words(text: Text, dice: random.Random, n: int) -> list[str]:
    """Like a typed query: 2 to 5 of the document's 10 strongest words by tf-idf, drawn by it, in lower case."""
    weight = {word.form: float(idf) for word, idf in zip(text.words, text.weight, strict=True) if idf > 0}
    times = Counter(word.form for word in text.words if word.is_telling)
    strength = {form: (1 + np.log(times[form])) * idf for form, idf in weight.items()}  # in the text's order
    strongest = sorted(strength, key=lambda form: -strength[form])[:TYPED_AMONG]
    found = []
    for _ in range(n if strongest else 0):
        size = min(dice.randint(*TYPED_WORDS), len(strongest))
        drawn = sorted(strongest, key=lambda form: -(dice.random() ** (1 / strength[form])))[:size]
        found.append(" ".join(form for form in strength if form in drawn))
    return _kept(found)


def passage(text: Text, dice: random.Random, n: int) -> list[str]:
    """A stretch of 64 words from anywhere, or the whole of a shorter document: DSI's direct indexing."""
    last = max(len(text) - PASSAGE_WORDS, 0)
    starts = dice.sample(range(last + 1), min(n, last + 1)) if len(text) else []
    return _kept(text.between(start, min(start + PASSAGE_WORDS, len(text))) for start in starts)


def _kept(found: Iterable[str]) -> list[str]:
    """Each once; not what was signs alone."""
    return [query for query in dict.fromkeys(found) if query]


Way = Callable[[Text, random.Random, int], list[str]]

WAYS: dict[str, Way] = {
    "title": title,
    "first-sentence": first_sentence,
    "spans": spans,
    "words": words,
    "passage": passage,
}
