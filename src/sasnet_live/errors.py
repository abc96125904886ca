"""The one error that a user's input can cause."""


class InputError(ValueError):
    """Something a user gave cannot be used.

    The message is one line: what came, what was expected, and what to do about it.
    The command line prints it as it is and exits with a status other than 0; no traceback.
    """
