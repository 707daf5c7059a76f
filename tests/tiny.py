"""A small corpus, and tiny random models of every kind that read it: what tests learn from in seconds."""

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmindexer.corpus.documents import Corpus, Document

WIDTH = 32  # of the models' states

TOPICS = {
    "kitchen": "knife pan oven kettle spoon grill plate recipe",
    "garden": "rose soil shovel hedge lawn seed compost fence",
    "sailing": "mast anchor harbour tide sail rudder deck knot",
    "music": "violin drum chord melody choir tempo piano flute",
    "weather": "storm cloud frost thunder drizzle sunshine hail breeze",
}
EVERYWHERE = ["the", "a", "with", "and", "for", "of", "new", "old", "small", "large", "good"]
CAUSAL = ("qwen2", "llama")
# "pair": two BERTs, encoder and decoder
CHECKPOINTS = ("t5", "mt5", "bart", "pair", "bert", "roberta", "distilbert", *CAUSAL)
# how much of the encoder learns decides whether a causal model has the small decoder or is one stack
ADAPTERS = [*((name, "frozen") for name in CHECKPOINTS), *((name, "full") for name in CAUSAL)]


def small_corpus() -> Corpus:
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


def word_pieces(corpus: Corpus) -> Any:
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


def sentence_pieces(corpus: Corpus) -> list[tuple[str, float]]:
    """Pieces for a T5 tokenizer: the corpus' words, every other one in two pieces, and letters."""
    words = sorted({word for text in corpus.texts() for word in text.split()})
    pieces = [f"▁{word}" for word in words[1::2]]
    pieces += [piece for word in words[::2] for piece in (f"▁{word[:3]}", word[3:]) if piece]
    letters = ["▁", *sorted(set("".join(words)))]
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return scored + [(piece, -2.0) for piece in dict.fromkeys(pieces)] + [(piece, -9.0) for piece in letters]


def byte_pairs(corpus: Corpus) -> dict[str, Any]:
    """Vocabulary and merges of a byte-level tokenizer such as BART's and RoBERTa's; <mask> is the last token."""
    words = sorted({word for text in corpus.texts() for word in text.split()})
    tokens, merges = ["<s>", "<pad>", "</s>", "<unk>", "Ġ", *sorted(set("".join(words)))], []
    for word in [start + word for word in words for start in ("Ġ", "")]:
        for end in range(1, len(word)):
            if word[: end + 1] not in tokens:
                tokens.append(word[: end + 1])
                merges.append((word[:end], word[end]))
    return {"vocab": {token: n for n, token in enumerate([*tokens, "<mask>"])}, "merges": merges}


def causal_tokenizer(corpus: Corpus, kind: str) -> Any:
    """Qwen's puts nothing around a text, and its one special token pads, ends and is unknown; Llama's begins a text
    with <s> and has no token for padding."""
    import transformers as hf

    pairs = byte_pairs(corpus)
    if kind == "qwen2":
        words = [token for token in pairs["vocab"] if not token.startswith("<")]
        vocabulary = {token: n for n, token in enumerate([*words, "<|endoftext|>"])}
        return hf.Qwen2Tokenizer(vocab=vocabulary, merges=pairs["merges"])
    space = {token: token.replace("Ġ", "▁") for token in pairs["vocab"]}
    vocabulary = {token: n for n, token in enumerate(["<unk>", "<s>", "</s>"])}
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    for token in pairs["vocab"]:
        vocabulary.setdefault(space[token], len(vocabulary))
    merges = [(space.get(a, a), space.get(b, b)) for a, b in pairs["merges"]]
    return hf.LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True)


def save_checkpoints(folder: Path, corpus: Corpus, names: Sequence[str] = CHECKPOINTS) -> dict[str, Path]:
    """Folders with a tiny random model of every kind and its tokenizer, as odd as the published ones are.

    t5: sentinel tokens, more rows than tokens, the head tied. mt5: the same with sentinels that are ordinary pieces,
    a token added later, gated layers and a head of its own. bart: pad is 1, a decoder that starts with </s>, <mask>
    without a row, and settings for a search by beams (as bart-large-cnn). pair: no token for padding. roberta: pad
    is 1, and positions count from behind it. distilbert: layers that cannot be cut. qwen2: no token around a text,
    more rows than tokens, the head tied, held in bfloat16. llama: no token for padding, a head of its own. Both: fewer
    heads for keys and values than for queries.
    """
    import torch
    import transformers as hf

    tokenizer = word_pieces(corpus)

    unpadded = copy.deepcopy(tokenizer)
    unpadded.pad_token = None
    bytes_ = hf.RobertaTokenizer(**byte_pairs(corpus))
    pieces = sentence_pieces(corpus)
    sentinels = [(f"▁<extra_id_{n}>", -20.0) for n in range(7, -1, -1)]
    tokenizers = {
        "t5": hf.T5Tokenizer(vocab=pieces + [(f"<extra_id_{n}>", 0.0) for n in range(7, -1, -1)], extra_ids=8),
        "mt5": hf.T5Tokenizer(vocab=pieces + sentinels, extra_ids=0),
        "bart": bytes_,
        "pair": unpadded,
        "bert": tokenizer,
        "roberta": bytes_,
        "distilbert": tokenizer,
        **{kind: causal_tokenizer(corpus, kind) for kind in CAUSAL},
    }
    tokenizers["mt5"].add_tokens(["ISBN"])
    more = {"t5": 28, "mt5": 12, "bart": -1, "qwen2": 19}  # rows than tokens
    rows = {name: len(tokenizers[name]) + more.get(name, 0) for name in CHECKPOINTS}

    start = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    t5 = {"d_model": WIDTH, "d_kv": 16, "d_ff": 64, "num_layers": 3, "num_heads": 2, **start}
    bert = {"hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 64}
    bert |= {"max_position_embeddings": 64, "initializer_range": 0.2}
    bart = {"vocab_size": rows["bart"], "d_model": WIDTH, "max_position_embeddings": 64, "init_std": 0.2}
    bart |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    for side in ("encoder", "decoder"):
        bart |= {f"{side}_layers": 3, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
    inside = hf.BertConfig(vocab_size=rows["bert"], num_hidden_layers=3, **bert)
    outside = {"num_hidden_layers": 2, "is_decoder": True, "add_cross_attention": True}
    decoder = hf.BertConfig(vocab_size=rows["bert"], **outside, **bert)
    behind = bert | {"max_position_embeddings": 66, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    distilled = {"dim": WIDTH, "n_heads": 2, "n_layers": 2, "hidden_dim": 64, "max_position_embeddings": 64}
    causal = {"hidden_size": WIDTH, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    causal |= {"num_hidden_layers": 3, "max_position_embeddings": 80, "initializer_range": 0.2}
    llama = causal | {"bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False}
    makers = {
        "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(vocab_size=rows["t5"], **t5)),
        "mt5": lambda: hf.MT5ForConditionalGeneration(hf.MT5Config(vocab_size=rows["mt5"], **t5)),
        "bart": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**bart)),
        "pair": lambda: hf.EncoderDecoderModel(hf.EncoderDecoderConfig.from_encoder_decoder_configs(inside, decoder)),
        "bert": lambda: hf.BertModel(inside),
        "roberta": lambda: hf.RobertaModel(hf.RobertaConfig(vocab_size=rows["roberta"], num_hidden_layers=3, **behind)),
        "distilbert": lambda: hf.DistilBertModel(hf.DistilBertConfig(vocab_size=rows["distilbert"], **distilled)),
        "qwen2": lambda: hf.Qwen2ForCausalLM(
            hf.Qwen2Config(vocab_size=rows["qwen2"], tie_word_embeddings=True, **causal)
        ).bfloat16(),
        "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=rows["llama"], **llama)),
    }
    for name in names:
        torch.manual_seed(0)
        model = makers[name]()
        if name == "bart":
            model.generation_config.update(
                forced_bos_token_id=0, forced_eos_token_id=2, num_beams=4, early_stopping=True, no_repeat_ngram_size=3
            )
        if name == "mt5":
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
        model.save_pretrained(folder / name)
        tokenizers[name].save_pretrained(folder / name)
    return {name: folder / name for name in names}
