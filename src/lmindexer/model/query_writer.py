"""A seq2seq model that writes the queries a document may answer, such as docT5query (Nogueira and Lin, 2019)."""

from collections.abc import Sequence

import numpy as np
import torch

from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_device
from lmindexer.errors import InputError
from lmindexer.model.backbone import Seq2SeqBackbone, load_backbone
from lmindexer.model.published import is_causal
from lmindexer.model.words import rows_without_token
from lmindexer.progress import Progress

READS = 512  # tokens of a document; with the three below as docT5query publishes it
WRITES = 64  # tokens of a query
TOP_K = 10


class QueryWriter:
    """Samples from the `TOP_K` most likely tokens. Make one with `load_query_writer`."""

    def __init__(self, backbone: Seq2SeqBackbone) -> None:
        self.backbone = backbone.eval()
        self._silent = rows_without_token(backbone.tokenizer, len(backbone.vocabulary))

    @torch.no_grad()
    def write(
        self,
        texts: Sequence[str],
        per_text: int = 3,
        seed: int = 0,
        *,
        batch_size: int = 16,
        progress: Progress | None = None,
    ) -> list[list[str]]:
        """At most `per_text` queries of each text: those alike are one, and an empty one is none.

        The same seed and batch size give the same queries on a CPU. Texts go in order of length, the longest
        first, so that too little memory shows at once.
        """
        tokens = Tokens.of(self.backbone.tokenize(texts, READS)) if texts else Tokens.of([])
        order = np.argsort(-tokens.length_of(np.arange(len(texts))), kind="stable")
        queries: list[list[str]] = [[] for _ in texts]
        tenths = 0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            written = self._sample(tokens, rows, per_text, seed=_seed_of(seed, start))
            for n, row in enumerate(rows.tolist()):
                queries_of_text = written[n * per_text : (n + 1) * per_text]
                queries[row] = [
                    query for query in dict.fromkeys(" ".join(query.split()) for query in queries_of_text) if query
                ]
            done = start + len(rows)
            if progress is not None:
                progress.at("queries", 0, 1, done / len(texts))
                if 10 * done // len(texts) > tenths:
                    tenths = 10 * done // len(texts)
                    progress.say(f"queries of {done:,} of {len(texts):,} documents")
        return queries

    def _sample(self, tokens: Tokens, rows: np.ndarray, per_text: int, seed: int) -> list[str]:
        """`per_text` texts of each row, side by side; torch's own random state stays as it was."""
        model, tokenizer = self.backbone.model, self.backbone.tokenizer
        ids, mask = (torch.from_numpy(array).to(model.device) for array in tokens.padded(rows, self.backbone.pad_id))
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(seed)
            written = model.generate(
                input_ids=ids,
                attention_mask=mask.long(),
                num_return_sequences=per_text,
                do_sample=True,
                top_k=TOP_K,
                top_p=1.0,
                temperature=1.0,
                num_beams=1,
                max_new_tokens=WRITES,
                suppress_tokens=self._silent or None,
            )
        texts: list[str] = tokenizer.batch_decode(written, skip_special_tokens=True)
        return texts


def load_query_writer(name: str, device: str = "auto") -> QueryWriter:
    """A hub name or a folder. Raises InputError where it cannot be loaded, or is no model that writes."""
    chosen = choose_device(device)
    backbone = load_backbone(name)
    if not isinstance(backbone, Seq2SeqBackbone):
        what = "goes on from a text" if is_causal(backbone.model.config) else "reads"
        raise InputError(
            f"the model {name!r} {what} and does not write; name a seq2seq model trained to write queries, "
            "such as castorini/doc2query-t5-base-msmarco"
        )
    begins = backbone.model.generation_config
    if begins.decoder_start_token_id is None and begins.bos_token_id is None:
        raise InputError(f"the model {name!r} does not say by which token a text begins; name one trained to write")
    backbone.model.to(chosen)
    return QueryWriter(backbone)


def _seed_of(seed: int, start: int) -> int:
    return int(np.random.SeedSequence([seed, start]).generate_state(1)[0])
