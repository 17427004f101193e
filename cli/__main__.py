"""Starts the command line, and ends it quietly on Ctrl-C while its modules are being loaded."""

import os
import signal
import sys
from types import FrameType

from cli import EXIT_STOPPED


def _end(number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
    """At once: an exception amid an import may become another, or be lost; nothing is open yet."""
    os.write(2, b"btc-scanner: interrupted\n")
    os._exit(EXIT_STOPPED)


_guarded = __name__ == "__main__" and signal.getsignal(signal.SIGINT) == signal.default_int_handler
if _guarded:
    signal.signal(signal.SIGINT, _end)

from cli.command_line import main  # noqa: E402 - it is what takes time

__all__ = ["main"]

if __name__ == "__main__":
    try:
        if _guarded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(main())
    except KeyboardInterrupt:  # between two of its own guards
        _end()
