"""The command line: ``sasnet-live COMMAND``. Every command has a module of its own, light to import."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated

import typer

from sasnet_live import __version__
from sasnet_live.errors import CannotRegister, InputError
from sasnet_live.memory import keep_freed_memory
from sasnet_live.threads import share_cores

from .interrupts import INTERRUPTED, begin, interrupts
from .options import with_options
from .printing import PRINTING_ENDED, complain, echo, in_words, lasting_streams, reader_gone

_COMMANDS = {
    # command: the module here that holds a function of this name; in the order of the help page
    "demo": "demo",
    "run": "run",
    "watch": "run",
    "serve": "serve",
    "reprocess": "reprocess",
    "apply": "apply",
    "simulate": "simulate",
    "train": "train",
    "evaluate": "evaluate",
    "bench": "bench",
    "detect": "detect",
    "info": "info",
}
_PRINT_ONLY = {"info", "bench", "detect"}
"""Commands that are over once what they print is not read any more."""

app = typer.Typer(
    name="sasnet-live",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"sasnet-live {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from. Works anywhere.")] = False,
) -> None:
    """Live registration of bidirectional raster scans for photoacoustic microscopy."""


for _command, _module in _COMMANDS.items():
    app.command(_command)(with_options(getattr(import_module(f"{__name__}.{_module}"), _command)))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Status 0: done; 1: something failed, or cannot be registered so; 2: bad arguments or input; 130: interrupted (143
    and 129 by SIGTERM and SIGHUP). An error is one line on standard error, without a traceback unless ``--debug`` is
    among the arguments.

    Parameters
    ----------
    arguments
        None: those of the process, which ends with the command.
    """
    share_cores()
    keep_freed_memory()
    is_program = arguments is None
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:
        # Accepted anywhere, also behind the command's own options.
        given = ["--debug", *(argument for argument in given if argument != "--debug")]
    printing = _Printing(says_so=bool({*_COMMANDS} - _PRINT_ONLY & {*given}))
    asked_to_end = begin()
    try:
        with lasting_streams(printing.ended), _logs(debug):
            try:
                asked_to_end.install()
                status = _status(given, debug)
            except KeyboardInterrupt:  # the second one, while the first was being dealt with
                status = asked_to_end.status
            finally:
                asked_to_end.settled()
        status = status or printing.status
        if is_program:
            _leave_if_stuck(status)
    finally:
        if is_program:
            asked_to_end.ignore()
        else:
            asked_to_end.restore()
    sys.exit(status)


class _Printing:
    """What it means for the command that nothing can be printed any more."""

    def __init__(self, says_so: bool) -> None:
        self._says_so = says_so
        self.status = 0

    def ended(self, error: OSError) -> None:
        """Printing has ended, the command has not."""
        gone = reader_gone(error)
        self.status = 0 if gone else 1
        if self._says_so or not gone:
            why = "was closed by its reader" if gone else f"cannot be written ({error.strerror})"
            complain(f"standard output {why}; {PRINTING_ENDED}")


@contextmanager
def _logs(shown: bool) -> Iterator[None]:
    """Logged warnings and tracebacks only if wanted: what matters of them is an error of a command, in one line."""
    logger = logging.getLogger()
    handler: logging.Handler = logging.StreamHandler() if shown else logging.NullHandler()
    logger.addHandler(handler)
    before = threading.excepthook
    if not shown:
        threading.excepthook = _complain_of_thread
    try:
        yield
    finally:
        threading.excepthook = before
        logger.removeHandler(handler)


def _complain_of_thread(failure: threading.ExceptHookArgs) -> None:
    """A thread of a library, such as that of a camera, has failed."""
    if failure.exc_value is not None:
        complain(in_words(failure.exc_value))


def _leave_if_stuck(status: int) -> None:
    """End at once if a camera or a device did not come back: the files are closed, and the interpreter would abort."""
    if any(thread.name.startswith("sasnet-live") for thread in threading.enumerate()):
        os._exit(status)


def _status(arguments: list[str], debug: bool) -> int:
    try:
        status = app(args=arguments, prog_name="sasnet-live", standalone_mode=False)
        if status == INTERRUPTED:  # as typer ends at a Ctrl-C, whichever signal it was
            return _interrupted()
    except InputError as error:
        if debug:
            raise
        complain(error)
        return 1 if isinstance(error, CannotRegister) else 2
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            return _usage_error(error, usage())
        if debug:
            raise
        complain(f"{in_words(error)}; --debug shows where")
        return 1
    return status if isinstance(status, int) else 0


def _interrupted() -> int:
    if not interrupts().answered:
        complain("interrupted")
    return interrupts().status


def _usage_error(error: Exception, message: str) -> int:
    """Bad options, as typer reports them; the help page where no command was given."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return 2
    path = getattr(context, "command_path", "sasnet-live")
    complain(f"{message.rstrip('.')}; see {path} --help")
    return int(getattr(error, "exit_code", 2))
