"""A seq2seq model that writes the queries a document may answer, such as docT5query (Nogueira and Lin, 2019)."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import WritingConfig
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16, choose_device
from lmindexer.errors import InputError
from lmindexer.model.backbone import EncoderBackbone, Seq2SeqBackbone, load_backbone, pair_of
from lmindexer.model.published import is_causal
from lmindexer.model.words import rows_without_token
from lmindexer.progress import Progress

READS = 512  # tokens of a document; with the one below as docT5query publishes it
WRITES = 64  # tokens of a query
FACTS = "writer.json"  # of a folder in which a writer was trained: how that stands

Written = Mapping[int, list[str]]  # row of a text -> its queries


class QueryWriter:
    """Writes queries for texts. Make one with `load_query_writer`."""

    def __init__(self, backbone: Seq2SeqBackbone) -> None:
        self.backbone = backbone.eval()
        self.reads = min(READS, backbone.tokenizer.model_max_length)  # tokens of a document
        self._silent = rows_without_token(backbone.tokenizer, len(backbone.vocabulary))

    @property
    def fingerprint(self) -> str:
        """The same for the same weights."""
        digest = hashlib.blake2b(digest_size=16)
        for name, weights in sorted(self.backbone.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @torch.no_grad()
    def write(
        self,
        texts: Sequence[str],
        per_text: int = 3,
        config: WritingConfig | None = None,
        *,
        batch_size: int = 16,
        done: Written | None = None,
        keep: Callable[[Written], None] | None = None,
        progress: Progress | None = None,
    ) -> list[list[str]]:
        """At most `per_text` queries of each text: those alike are one, and an empty one is none.

        A text draws by (seed, itself). The same batch size gives the same queries on a CPU: texts go in order of
        length, the longest first, so that too little memory shows at once. Of a batch whose texts are all `done`
        nothing is written again; `keep` is handed what each other batch gave.
        """
        config = config or WritingConfig()
        tokens = Tokens.of(self.backbone.tokenize(texts, self.reads)) if texts else Tokens.of([])
        order = np.argsort(-tokens.length_of(np.arange(len(texts))), kind="stable")
        queries: dict[int, list[str]] = dict(done or {})
        tenths = 0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            if not queries.keys() >= set(rows.tolist()):
                drawn = self._generate(tokens, rows, [texts[row] for row in rows.tolist()], per_text, config)
                written = dict(zip(rows.tolist(), drawn, strict=True))
                queries |= written
                if keep is not None:
                    keep(written)
            n = start + len(rows)
            if progress is not None:
                progress.at("queries", 0, 1, n / len(texts))
                if 10 * n // len(texts) > tenths:
                    tenths = 10 * n // len(texts)
                    progress.say(f"queries of {n:,} of {len(texts):,} documents")
        return [queries[row] for row in range(len(texts))]

    def _generate(
        self, tokens: Tokens, rows: np.ndarray, texts: Sequence[str], per_text: int, config: WritingConfig
    ) -> list[list[str]]:
        """The queries of each row; torch's own random state stays as it was."""
        model, device = self.backbone.model, self.backbone.model.device
        ids, mask = (torch.from_numpy(array).to(device) for array in tokens.padded(rows, self.backbone.pad_id))
        per_text = min(per_text, config.beams or per_text)
        how: dict[str, Any] = {"do_sample": False, "num_beams": config.beams}
        if not config.beams:  # transformers draws from what `SeededDraw` leaves: the one token that it drew
            how = {"do_sample": True, "num_beams": 1, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
            how |= {"logits_processor": [SeededDraw(config, texts, per_text, device)]}
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.autocast(device.type, torch.bfloat16, enabled=choose_bf16(config.precision, device)),
        ):
            written = model.generate(
                input_ids=ids,
                attention_mask=mask.long(),
                num_return_sequences=per_text,
                max_new_tokens=WRITES,
                suppress_tokens=self._silent or None,
                **how,
            )
        decoded = self.backbone.tokenizer.batch_decode(written, skip_special_tokens=True)
        queries = [" ".join(query.split()) for query in decoded]  # `per_text` of each row, side by side
        parts = (queries[at : at + per_text] for at in range(0, len(queries), per_text))
        return [[query for query in dict.fromkeys(part) if query] for part in parts]


class SeededDraw:
    """Leaves of the scores of each next token (R, V) only the one that is drawn.

    The numbers to draw by are of (seed, text), so that a text's queries do not depend on the texts beside it.
    """

    def __init__(self, config: WritingConfig, texts: Sequence[str], per_text: int, device: torch.device) -> None:
        seeds = (hashlib.blake2b(f"{config.seed} {text}".encode(), digest_size=16).digest() for text in texts)
        numbers = [
            np.random.default_rng(np.frombuffer(seed, np.uint32)).random((per_text, WRITES), np.float32)
            for seed in seeds
        ]
        self._numbers = torch.from_numpy(np.concatenate(numbers)).to(device)  # (R, WRITES)
        self._config, self._step = config, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        config = self._config
        drawn = draw(scores, self._numbers[:, self._step], config.top_k, config.top_p, config.sampling_temperature)
        self._step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, drawn[:, None], 0.0)


def draw(scores: Tensor, numbers: Tensor, top_k: int, top_p: float, temperature: float) -> Tensor:
    """A token of each row of `scores` (R, V), by `numbers` (R,) from 0 to 1, from the likeliest alone: (R,).

    These are the `top_k` with the highest scores, and of them the first that have `top_p` of their probability
    (Holtzman et al., 2020); at least one.
    """
    likely, tokens = scores.float().topk(min(top_k or scores.shape[1], scores.shape[1]))  # (R, k), the best first
    p = torch.softmax(likely / temperature, dim=1)
    p = p.masked_fill(p.cumsum(1) - p >= top_p, 0.0) if top_p < 1 else p
    below = p.cumsum(1)
    place = (below <= numbers[:, None] * below[:, -1:]).sum(1)
    place = place.minimum((p > 0).sum(1) - 1)  # a product may round up to the whole
    return tokens.gather(1, place[:, None])[:, 0]


def load_query_writer(
    name: str, device: str = "auto", *, to_train: bool = False, seed: int = 0, dropout: float = 0.1
) -> QueryWriter:
    """A hub name or a folder.

    `to_train` takes also what cannot write yet: an encoder becomes a pair (`pair_of`), and what is not said of where
    a text begins and ends is taken from the tokenizer. Raises InputError where it cannot be loaded, or cannot write.
    """
    chosen = choose_device(device)
    if read_facts(name).get("state") == "training":
        raise InputError(f"the training of the writer in {name} is not finished; go on with --train and --resume")
    backbone = load_backbone(name, dropout=dropout)
    if to_train and isinstance(backbone, EncoderBackbone) and not is_causal(backbone.model.config):
        backbone = pair_of(name, backbone.tokenizer, seed)
        backbone.set_dropout(dropout)
    if not isinstance(backbone, Seq2SeqBackbone):
        what = "goes on from a text" if is_causal(backbone.model.config) else "reads"
        raise InputError(
            f"the model {name!r} {what} and does not write; name a seq2seq model trained to write queries, "
            "such as castorini/doc2query-t5-base-msmarco"
        )
    if to_train:
        _say_ends(name, backbone)
    begins = backbone.model.generation_config
    if begins.decoder_start_token_id is None and begins.bos_token_id is None:
        raise InputError(f"the model {name!r} does not say by which token a text begins; name one trained to write")
    backbone.model.to(chosen)
    return QueryWriter(backbone)


def read_facts(folder: str | Path) -> dict[str, Any]:
    """How the training of a writer in `folder` stands; nothing where none was begun there."""
    path = Path(folder) / FACTS
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise InputError(f"{path} is damaged; delete the folder, and train the writer again") from None


def _say_ends(name: str, backbone: Seq2SeqBackbone) -> None:
    """Keep the tokens by which a query begins and ends, and no other habit of writing.

    Models that write summaries come with a least length and a search by beams. Raises InputError where nothing says
    them.
    """
    model, tokenizer = backbone.model, backbone.tokenizer
    said = model.generation_config
    ends = said.eos_token_id[0] if isinstance(said.eos_token_id, list) else said.eos_token_id
    begin = _first(said.decoder_start_token_id, said.bos_token_id, tokenizer.cls_token_id, tokenizer.bos_token_id)
    end = _first(ends, tokenizer.sep_token_id, tokenizer.eos_token_id)
    if begin is None or end is None:
        raise InputError(
            f"neither the model {name!r} nor its tokenizer says where a text begins and ends; take another"
        )
    tokens = {"decoder_start_token_id": begin, "eos_token_id": end, "pad_token_id": backbone.pad_id}
    model.generation_config = type(said)(**tokens)
    for key, token in tokens.items():
        setattr(model.config, key, token)


def _first(*tokens: int | None) -> int | None:
    return next((token for token in tokens if token is not None), None)
