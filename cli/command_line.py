"""The command line: runs what was typed; the one place where errors become messages."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from cli import EXIT_FAILURE, EXIT_STOPPED, EXIT_USAGE, CommandError
from cli.arguments import build_parser, parse
from cli.commands import Handler
from shared.leaves import leaves

EXIT_PIPE_CLOSED = 141  # what a shell reports for a program ended by SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; errors are printed, never raised."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        build_parser().print_help(sys.stderr)
        return EXIT_USAGE
    debug = False
    try:
        chosen = parse(given)
        debug = chosen.debug
        handler: Handler = chosen.handler
        code = handler(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_STOPPED
    except BaseException as error:
        if isinstance(error, SystemExit | GeneratorExit):
            raise
        if all(isinstance(leaf, BrokenPipeError) for leaf in leaves(error)):
            return _unread()
        return _report(error, debug=debug)
    return code


def _unread() -> int:
    """The reader (head, less) has left; the interpreter would complain at exit about the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_PIPE_CLOSED


def _report(error: BaseException, *, debug: bool) -> int:
    """Print what happened, and return the exit code that belongs to it."""
    causes = list(leaves(error))
    known = [_expected(leaf) for leaf in causes]
    if all(known) and not debug:
        for message, _ in filter(None, known):
            _say(message)
        return max(code for _, code in filter(None, known))
    if debug:
        traceback.print_exception(error)
        return EXIT_FAILURE
    first = causes[0]
    summary = f"unexpected {type(first).__name__}: {first}".rstrip(": ")
    _say(f"{summary}\n  {_kept(error)}")
    return EXIT_FAILURE


def _expected(error: BaseException) -> tuple[str, int] | None:
    """Message and exit code of an error that a person can act on; None for a bug."""
    from shared.config_errors import ConfigError  # noqa: PLC0415

    if isinstance(error, CommandError):
        return str(error), error.exit_code
    if isinstance(error, ConfigError):
        return str(error), EXIT_USAGE
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str | Path) else ""
        return f"{place}{error.strerror}", EXIT_FAILURE
    return None


def _kept(error: BaseException) -> str:
    """Write the traceback where it can be found again, and say where."""
    try:
        handle, path = tempfile.mkstemp(prefix="btc-scanner-", suffix=".txt")
        with open(handle, "w", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return "run the command with --debug to see where"
    return f"This is a bug. Its traceback is in {path}; --debug prints it."


def _say(message: str) -> None:
    print(f"btc-scanner: {message}", file=sys.stderr)
