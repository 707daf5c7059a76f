"""Documents as an encoder reads them: their tokens, and what of them it does not see."""

import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens, in_pieces
from lmindexer.model.backbone import Backbone

NOTABLE = 0.05  # share of unknown tokens that is told
MULTILINGUAL = "intfloat/multilingual-e5-small"  # as wide as the bundled encoder; reads about 100 languages


@dataclass(frozen=True)
class Unseen:
    """What an encoder does not see of documents, counted over all of their text."""

    documents: int
    texts: int  # different ones
    same_text: int  # documents whose text another has, too
    tokens: int  # but for those that stand around every text
    unknown_tokens: int
    mostly_unknown: int  # documents of which at least half of the tokens are unknown
    readings: int  # different texts as they are read
    whole_texts: int  # different texts that are not cut
    looks: int  # how many different ones the tokenizer makes of these
    limit: int  # tokens that are read at a time
    longest: int  # that the encoder can read at a time
    longer: int  # documents of more
    unread_tokens: int  # 0 where longer documents are read in pieces
    same_when_cut: int  # documents that are cut and then read as one of another text is

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    def notes(self, config: LearnConfig, learned: bool = False) -> list[str]:
        """Sentences for a user of `config`, each with the way out: of a run that is `learned` already, another run."""
        how = "learn anew with" if learned else "learn with"
        found = (self._same_text(), self._unknown(config, how), self._cut(config, how))
        return [note for note in found if note]

    def notes_on_queries(self, config: LearnConfig) -> list[str]:
        """The same where the texts are queries to the run of `config`, which are cut."""
        found = [self._unknown(config, "learn anew with", "query")] if self._has_unknown else []
        if self.unread_tokens:
            way_out = f"; to read more, fine-tune with a larger --max-tokens{self._model_reads}"
            cut = f"{self._longer('query')} longer than {self.limit:,} tokens and cut there"
            found.append(cut + (way_out if self.limit < self.longest else ""))
        return found

    @property
    def _has_unknown(self) -> bool:
        return self.unknown_tokens >= NOTABLE * max(self.tokens, 1) or self.mostly_unknown > 0

    @property
    def _model_reads(self) -> str:
        return f" (its model reads {self.longest:,})" if self.longest < 10**6 else ""

    def _longer(self, kind: str) -> str:
        verb = "is" if self.longer == 1 else "are"
        return f"{self.longer:,} of {_many(self.documents, kind)} ({_share(self.longer, self.documents)}) {verb}"

    def _same_text(self) -> str:
        if not self.same_text:
            return ""
        return (
            f"{self.same_text:,} of {_many(self.documents, 'document')} have a text that another has, too "
            f"({_many(self.texts, 'different text')} in all); they get the same codes, and only the last number of an "
            "ID tells them apart"
        )

    def _unknown(self, config: LearnConfig, how: str, kind: str = "document") -> str:
        flag, name = encoder_of(config)
        looks = f"{self.whole_texts:,} different texts look like {self.looks:,} to it"
        alike = self.looks < self.whole_texts
        if not self._has_unknown:
            about = f"the tokenizer of {name} does not tell case, or some signs, apart"
            return f"{about}: {looks}, which get the same codes" if alike else ""
        most = f" (at least half in {self.mostly_unknown:,} of {_many(self.documents, kind)})"
        return (
            f"{_share(self.unknown_tokens, self.tokens)} of the tokens are unknown to the tokenizer of {name}"
            + (most if self.mostly_unknown else "")
            + (f", and {looks}" if alike else "")
            + f"; to see more, {how} a model that knows the language, such as {flag} {MULTILINGUAL}"
        )

    def _cut(self, config: LearnConfig, how: str) -> str:
        if not self.unread_tokens:
            return ""
        ways, place = [], f"the {self.limit:,} tokens that its model reads"
        if self.limit < self.longest:
            ways, place = [f"a larger --max-tokens{self._model_reads}"], f"--max-tokens {self.limit}"
        if config.may_pool:
            ways.append("--long pool, which reads all")
        alike = f", and {self.same_when_cut:,} look like another with a different text" if self.same_when_cut else ""
        return (
            f"{self._longer('document')} longer than {place} and cut there: "
            f"{_share(self.unread_tokens, self.tokens)} of all tokens are not read{alike}"
            + (f"; to read more, {how} {', or with '.join(ways)}" if ways else "")
        )


def encoder_of(config: LearnConfig) -> tuple[str, str]:
    """What reads the documents: the flag that names it, and its name."""
    if config.indexer == "lmindexer" or config.embeddings == "simcse":
        return "--backbone", config.backbone
    return "--embeddings", config.embeddings


def read_documents(corpus: Corpus, backbone: Backbone, max_tokens: int, long: str = "cut") -> tuple[Tokens, Unseen]:
    """The documents' tokens, cut after `max_tokens`, or where `long` is "pool" in pieces of so many.

    Raises InputError where these are too few for any text.
    """
    reader = _Reader(backbone, max_tokens, pool=long == "pool")
    with tempfile.TemporaryDirectory(prefix="lmindexer-", ignore_cleanup_errors=True) as folder:
        tokens = Tokens.build(corpus, reader, Path(folder) / "tokens")  # the file goes with what is mapped of it
    if reader.pool:
        tokens = in_pieces(tokens, np.array(reader.pieces), np.array(reader.lengths), reader.limit)
    return tokens, reader.unseen()


class _Reader:
    """Called with one batch of texts after another it gives their tokens, and counts."""

    def __init__(self, backbone: Backbone, max_tokens: int, pool: bool) -> None:
        self.backbone, self.limit, self.pool = backbone, min(max_tokens, backbone.longest), pool
        self.pieces = array("q")  # of each document
        self.lengths = array("q")  # of each piece
        self._texts = array("q")  # hashes, one a document
        self._looks = array("q")
        self._content = array("q")  # tokens of each document
        self._read = array("q")
        self._unknown = array("q")
        around = backbone.special.cpu().numpy().copy()
        self._unknown_id = unknown_id(backbone)
        if self._unknown_id is not None:
            around[self._unknown_id] = False
        self._around = around

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        read = []
        for text, pieces in zip(texts, self.backbone.texts.pieces(texts, self.limit), strict=True):
            content = [self._content_of(piece) for piece in pieces]
            tokens = [token for piece in pieces for token in piece] if self.pool else pieces[0]
            read.append(tokens)
            self.pieces.append(len(pieces))
            self.lengths.extend(map(len, pieces))
            self._texts.append(hash(text))
            self._looks.append(hash(tuple(tokens)))
            self._content.append(sum(map(len, content)))
            self._read.append(self._content[-1] if self.pool else len(content[0]))
            self._unknown.append(sum(int((part == self._unknown_id).sum()) for part in content))
        return read

    def _content_of(self, piece: list[int]) -> np.ndarray:
        tokens = np.array(piece, dtype=np.int64)
        return tokens[~self._around[tokens]]

    def unseen(self) -> Unseen:
        texts, content, unknown = np.array(self._texts), np.array(self._content), np.array(self._unknown)
        different, text, times = np.unique(texts, return_inverse=True, return_counts=True)
        shapes, look = np.unique(np.array(self._looks), return_inverse=True)
        pairs = np.unique(np.column_stack([look, text]), axis=0)  # texts of each look
        longer = np.array(self.pieces) > 1
        cut = longer & (not self.pool)
        is_cut = np.zeros(len(shapes), dtype=bool)
        is_cut[look[cut]] = True  # looks that a cut gave to some text
        several = np.bincount(pairs[:, 0], minlength=len(shapes)) > 1
        return Unseen(
            documents=len(texts),
            texts=len(different),
            same_text=int((times[text] > 1).sum()),
            tokens=int(content.sum()),
            unknown_tokens=int(unknown.sum()),
            mostly_unknown=int(((2 * unknown >= content) & (content > 0)).sum()),
            readings=len(shapes),
            whole_texts=int((~is_cut[pairs[:, 0]]).sum()),
            looks=int((~is_cut).sum()),
            limit=self.limit,
            longest=self.backbone.longest,
            longer=int(longer.sum()),
            unread_tokens=int(content.sum() - sum(self._read)),
            same_when_cut=int((is_cut & several)[look].sum()),
        )


def unknown_id(backbone: Backbone) -> int | None:
    """The token that stands for what the tokenizer does not know; None where it has none, or no other use for it."""
    tokenizer = backbone.tokenizer
    others = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id)
    found = tokenizer.unk_token_id
    return None if found is None or found in others or found >= len(backbone.vocabulary) else int(found)


def _many(count: int, kind: str) -> str:
    several = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return f"{count:,} {kind if count == 1 else several}"


def _share(part: int, whole: int) -> str:
    """A percentage that is 0 or 100 only where it is so."""
    share = part / max(whole, 1)
    return f"{share:.0%}" if 0.01 <= share <= 0.99 or part in (0, whole) else f"{share:.2%}"
