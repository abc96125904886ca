"""The command line: ``sasnet-live COMMAND``. Every command has a module of its own, light to import."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from sasnet_live import __version__
from sasnet_live.errors import InputError
from sasnet_live.memory import keep_freed_memory
from sasnet_live.threads import share_cores

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

_COMMANDS = {
    # command: the module here that holds a function of this name; in the order of the help page
    "demo": "demo",
    "run": "run",
    "watch": "run",
    "reprocess": "reprocess",
    "simulate": "simulate",
    "train": "train",
    "evaluate": "evaluate",
    "bench": "bench",
    "info": "info",
}

app = typer.Typer(
    name="sasnet-live",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sasnet-live {__version__}")
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
    app.command(_command)(getattr(import_module(f"{__name__}.{_module}"), _command))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Status 0: done; 1: something failed; 2: bad arguments or input; 130: interrupted. An error is one line on standard
    error, without a traceback unless ``--debug`` is among the arguments.
    """
    share_cores()
    keep_freed_memory()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    if debug:
        # Accepted anywhere, also behind the command's own options.
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    sys.exit(_status(arguments, debug))


def complain(message: object) -> None:
    """Print one line to standard error."""
    typer.echo(f"sasnet-live: {' '.join(str(message).split())}", err=True)


def _status(arguments: list[str], debug: bool) -> int:
    try:
        status = app(args=arguments, prog_name="sasnet-live", standalone_mode=False)
    except InputError as error:
        if debug:
            raise
        complain(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` does.
        sys.stderr.close()
        return 1
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            return _usage_error(error, usage())
        if debug:
            raise
        complain(f"{type(error).__name__}: {error or 'no further message'}; --debug shows where")
        return 1
    return status if isinstance(status, int) else 0


def _usage_error(error: Exception, message: str) -> int:
    """Bad options, as typer reports them; the help page where no command was given."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return 2
    path = getattr(context, "command_path", "sasnet-live")
    complain(f"{message.rstrip('.')}; see {path} --help")
    return int(getattr(error, "exit_code", 2))
