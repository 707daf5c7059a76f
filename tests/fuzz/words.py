"""Odd words and values, and bytes changed without knowing what they are: what all kinds of input are made odd by."""

import random
from typing import Any

WORDS = [
    *("", " ", "nan", "None", "a", "kite", "red kite", "é", "\u2028", "\ud83d", "\0", "\ufeff", '"', "'", '""', "\\"),
    *(",", "\t", ";", "|", "::", ">", " > ", "a > b", "[", "]", "{", "}", "[]", "['a', 'b']", "[['a' 'b']]", "[" * 60),
    *(
        "<b>",
        "&amp;",
        "<script>",
        "&#0;",
        "&#1114112;",
        ".a{b:c}",
        "\n",
        "\r",
        "\r\n",
        "1.0",
        "1e999",
        "-1",
        "9" * 5000,
    ),
    *("2024-05-01", "0000-00-00", "9999-12-31T23:59:59Z", "inf", "user_id", "x" * 5000, "洗发水", "🙂"),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), float("inf"), [], {}, [[]], [None], [{}], {"a": 1}, [["a"], ["b"]]),
    *([1, "a", None, 2.0], {"id": 1}, [[[[["deep"]]]]]),
]


def word(dice: random.Random) -> str:
    return "".join(dice.choice(WORDS) for _ in range(dice.randint(1, 3)))


def value(dice: random.Random) -> Any:
    if dice.random() < 0.6:
        return word(dice)
    return dice.choice(VALUES)


def mangled(dice: random.Random, content: bytes) -> bytes:
    """Bytes changed in half of the cases."""
    while content and dice.random() < 0.35:
        at, size = dice.randrange(len(content)), dice.randint(1, 40)
        change: bytes = dice.choice(
            [
                content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :],
                content[:at],
                content[:at] + content[at + size :],
                content[:at] + content[at : at + size] * 3 + content[at + size :],
                content[:at] + dice.choice(WORDS).encode("utf-8", "surrogatepass") + content[at:],
                content.replace(b"\n", b"\r"),
                b"\xef\xbb\xbf" + content,
                content.decode("utf-8", "replace").encode("utf-16"),
            ]
        )
        content = change
    return content
