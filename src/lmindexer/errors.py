"""The one exception a user's own mistake raises: one sentence that names the thing and the way out."""

LONGEST = 600  # characters of a message
LONGEST_VALUE = 60  # characters of a value in a message


class InputError(ValueError):
    """Something that came from outside is wrong. The command line prints the message without a trace.

    The message is one line of at most LONGEST characters, whatever it quotes.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(printable(str(message)), LONGEST))


def excerpt(value: object, limit: int = LONGEST_VALUE) -> str:
    """`repr` of a value from outside, short enough to stand in a sentence."""
    try:
        return shortened(repr(value), limit)
    except RecursionError:  # lists within lists without end
        return f"a {type(value).__name__}"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters: where there are more, the middle is left out."""
    if len(text) <= limit:
        return text
    head = (limit - 5) * 2 // 3
    return f"{text[:head]} ... {text[len(text) - (limit - 5 - head) :]}"


def printable(text: str) -> str:
    """In one line that any terminal can show: control characters and half surrogate pairs as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def check_list(values: object, what: str) -> None:
    """Raise InputError for one text where a list of them is meant: Python would take its letters for them."""
    if isinstance(values, str | bytes):
        raise InputError(
            f"{what} must be a list, not the one text {excerpt(values)}; put it into brackets: [{excerpt(values)}]"
        )
