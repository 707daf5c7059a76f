"""What every room's tests share: quiet threads, checked shapes, tiny local checkpoints, a small corpus."""

# ruff: noqa: E402 - the environment is set before torch is imported

import os

os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

# the shapes in these modules' signatures are checked whenever a test calls them
install_import_hook(["lmindexer.learn.losses", "lmindexer.learn.batches"], "beartype.beartype")

import random
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from lmindexer.corpus.documents import Corpus, Document

torch.set_num_threads(1)
# no test is timed: on a busy machine a true statement takes longer
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

TOPICS = {
    "kitchen": "knife pan oven kettle spoon grill plate recipe",
    "garden": "rose soil shovel hedge lawn seed compost fence",
    "sailing": "mast anchor harbour tide sail rudder deck knot",
    "music": "violin drum chord melody choir tempo piano flute",
    "weather": "storm cloud frost thunder drizzle sunshine hail breeze",
}
EVERYWHERE = ["the", "a", "with", "and", "for", "of", "new", "old", "small", "large", "good"]
CHECKPOINTS = ("t5", "mt5", "bart", "pair", "bert")  # "pair": an encoder-decoder made of two BERTs
WIDTH = 32


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """80 short documents of five topics; the label is (topic, half of the topic's words)."""
    dice = random.Random(0)
    documents = []
    for row in range(80):
        topic = list(TOPICS)[row % len(TOPICS)]
        half = row // len(TOPICS) % 2
        words = TOPICS[topic].split()[4 * half : 4 * half + 4]
        text = [dice.choice(words if dice.random() < 0.6 else EVERYWHERE) for _ in range(dice.randint(4, 14))]
        documents.append(Document(f"doc{row}", " ".join(text), (topic, f"{topic}{half}")))
    return Corpus.from_documents(documents)


@pytest.fixture(scope="session")
def tokenizer(corpus: Corpus) -> Any:
    """WordPiece of the corpus' letters and words, every other one in two pieces; every text ends in </s>.

    Not trained: a trainer breaks ties otherwise in every process, and the tiny models would not be the same.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "<s>", "</s>"]
    words = sorted({word for text in corpus.texts() for word in text.split()})
    letters = sorted(set("".join(words)))
    pieces = [*letters, *(f"##{letter}" for letter in letters)]
    pieces += [piece for word in words[::2] for piece in (word[:3], f"##{word[3:]}")] + words[1::2]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys(special + pieces))}
    tokens = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    end = special.index("</s>")
    tokens.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="[PAD]", unk_token="[UNK]", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(scope="session")
def checkpoints(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a tiny random model of every kind, each beside the tokenizer."""
    import transformers as hf

    V = len(tokenizer)
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 0}
    t5 = {"vocab_size": V, "d_model": WIDTH, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, **ends}
    bert = {"vocab_size": V, "hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 64}
    bert |= {"max_position_embeddings": 64, "initializer_range": 0.2}
    bart = {"vocab_size": V, "d_model": WIDTH, "max_position_embeddings": 64, "init_std": 0.2, **ends}
    for side in ("encoder", "decoder"):
        bart |= {f"{side}_layers": 2, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
    inside = hf.BertConfig(num_hidden_layers=3, **bert)
    outside = hf.BertConfig(num_hidden_layers=2, is_decoder=True, add_cross_attention=True, **bert)
    makers = {
        "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**t5)),
        "mt5": lambda: hf.MT5ForConditionalGeneration(hf.MT5Config(**t5)),
        "bart": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**bart)),
        "pair": lambda: hf.EncoderDecoderModel(hf.EncoderDecoderConfig.from_encoder_decoder_configs(inside, outside)),
        "bert": lambda: hf.BertModel(inside),
    }
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in CHECKPOINTS:
        torch.manual_seed(0)
        makers[name]().save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {name: folder / name for name in CHECKPOINTS}


@pytest.fixture(params=CHECKPOINTS)
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Path:
    return checkpoints[request.param]
