"""The one exception a user's own mistake raises: one sentence that names the thing and the way out."""


class InputError(ValueError):
    """Something that came from outside is wrong. The command line prints the message without a trace."""
