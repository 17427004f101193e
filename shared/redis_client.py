"""redis-py's client, with a short way through it, and errors that say which command was refused.

A candle becomes a signal by three commands of three processes that have slept until then. What
redis-py does around a command (metrics that nobody takes, retries that are off, a pool with a lock,
each argument encoded in Python) would be a third of the time from frame to signal. Only its public
parts are used here, and what goes over the wire is the same. Pipelines go redis-py's own way.

The server does not say which key it means: "WRONGTYPE Operation against a key holding the wrong
kind of value" names none, and a person who is to delete it must know which. redis-py itself adds
the command only in pipelines.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError, ResponseError

COMMAND_TIMEOUT_S = 5.0
# Keys stand at the beginning; what is long behind them are values.
_SHOWN = 500


class Client(Redis):
    """For a server of several, each of which can change its role: every command asks the pool."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command; an error that answers it carries the command as a note.

        Once: a connection that fails is closed by redis-py, and opened again for the next command.
        """
        try:
            connection = await self._take()
            try:
                with lost_connections():
                    await connection.send_packed_command(_packed(args))
                return await self.parse_response(connection, args[0], **options)
            finally:
                await self._put_back(connection)
        except ResponseError as error:
            error.add_note(command_of(args))
            raise

    async def _take(self) -> Connection:
        """A connection that is open and has nothing unread, for one command."""
        pool: Any = self.connection_pool
        return cast("Connection", await pool.get_connection())

    async def _put_back(self, connection: Connection) -> None:
        await self.connection_pool.release(connection)


class LoneClient(Client):
    """For the only server there is: keeps the connections that it takes from the pool.

    The pool knows them as in use, and closes them with itself.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """As redis-py's."""
        super().__init__(*args, **options)
        self._kept: list[Connection] = []

    async def _take(self) -> Connection:
        if self._kept:
            connection = self._kept.pop()
            if await _is_fit(connection):
                return connection
            await super()._put_back(connection)  # the pool mends what it hands out
        return await super()._take()

    async def _put_back(self, connection: Connection) -> None:
        self._kept.append(connection)


async def _is_fit(connection: Connection) -> bool:
    """Whether it is open and has nothing unread."""
    try:
        return connection.is_connected and not await connection.can_read()
    except (RedisError, OSError):
        return False


@contextmanager
def lost_connections() -> Iterator[None]:
    """Let a connection that was reset before a write be told as one.

    From Python 3.12 on, asyncio stumbles over its own lost transport there (``writelines``), by an
    AttributeError that neither redis-py nor anybody else takes for an outage. redis-py has closed
    the connection by then.

    Raises:
        redis.exceptions.ConnectionError: In place of that.
    """
    try:
        yield
    except AttributeError as error:
        if error.obj is not None or error.name != "_add_writer":
            raise
        raise ConnectionFailed("Connection reset by server.") from error


def _packed(args: tuple[Any, ...]) -> bytes:
    """A command as it goes over the wire; its name may be of two words, ``XINFO STREAM``."""
    name = args[0].encode() if isinstance(args[0], str) else args[0]
    packed: bytes = pack_command((*name.split(), *args[1:]))
    return packed


def command_of(args: tuple[Any, ...]) -> str:
    """The beginning of a command in one line, without what a script is given beside its keys."""
    if str(args[0]).upper() in ("EVAL", "EVALSHA"):
        args = (args[0], *args[2 : 3 + int(args[2])])
    words = (each.decode(errors="replace") if isinstance(each, bytes) else each for each in args)
    return " ".join(map(str, words))[:_SHOWN]
