"""The errors that a user's input can cause."""


class InputError(ValueError):
    """Something a user gave cannot be used.

    The message is one line: what came, what was expected, and what to do about it.
    The command line prints it as it is and exits with a status other than 0; no traceback.
    """


class CannotRegister(InputError):
    """No registrar can be had as it was asked for, or its settings do not fit the frames of this microscope.

    Apart from bad arguments for scripts: it is found when model and frames are looked at, not in what was typed.
    """
