"""The operator's commands: ``./btc-scanner COMMAND``, or ``python -m cli COMMAND``.

A failure that a person can act on is a ``CommandError``; ``cli.command_line`` prints it without a
traceback.
"""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130  # as after Ctrl-C

CHANNELS = ("email", "telegram", "console")  # by which alerts go


class CommandError(Exception):
    """A failure told in words for the operator: what is wrong, and what to do about it."""

    def __init__(self, message: str, *, exit_code: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
