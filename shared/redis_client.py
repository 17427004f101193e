"""redis-py's client, whose errors say which command was refused.

The server does not: "WRONGTYPE Operation against a key holding the wrong kind of value" names no
key, and a person who is to delete it must know which. redis-py itself adds the command only in
pipelines.
"""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

COMMAND_TIMEOUT_S = 5.0
# Keys stand at the beginning; what is long behind them are values.
_SHOWN = 500


class Client(Redis):
    """For one server."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command; an error that answers it carries the command as a note."""
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            error.add_note(command_of(args))
            raise


def command_of(args: tuple[Any, ...]) -> str:
    """The beginning of a command in one line, without what a script is given beside its keys."""
    if str(args[0]).upper() in ("EVAL", "EVALSHA"):
        args = (args[0], *args[2 : 3 + int(args[2])])
    words = (each.decode(errors="replace") if isinstance(each, bytes) else each for each in args)
    return " ".join(map(str, words))[:_SHOWN]
