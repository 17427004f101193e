"""redis-py's client, whose errors say which command was refused.

The server does not: "WRONGTYPE Operation against a key holding the wrong kind of value" names no
key, and a person who is to delete it must know which. redis-py itself adds the command only in
pipelines.
"""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError


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
    """A command in one line, without the values that a script is given."""
    if str(args[0]).upper() in ("EVAL", "EVALSHA"):
        args = (args[0], *args[2 : 3 + int(args[2])])
    return " ".join(each.decode(errors="replace") if isinstance(each, bytes) else str(each)
                    for each in args)  # fmt: skip
