"""The one exception a user's own mistake raises: one sentence that names the thing and the way out."""


class InputError(ValueError):
    """Something that came from outside is wrong. The command line prints the message without a trace."""


def check_list(values: object, what: str) -> None:
    """Raise InputError for one text where a list of them is meant: Python would take its letters for them."""
    if isinstance(values, str | bytes):
        raise InputError(f"{what} must be a list, not the one text {values!r}; put it into brackets: [{values!r}]")
