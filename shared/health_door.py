"""Where a running service tells programs on its own host whether it is well, in one line.

It is the process itself that answers, so one that hangs does not; asking costs a Python that has
imported next to nothing, since container engines ask every few seconds.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.health_address import NOT_WELL, WELL, door_of

log = logging.getLogger(__name__)

# Several of one service on one host and configuration, each without a name of its own.
_MOST_UNNAMED = 20

Answer = Callable[[], Awaitable[tuple[bool, str]]]


@asynccontextmanager
async def open_door(
    service: str, instance: str, config: Path | None, answer: Answer
) -> AsyncIterator[None]:
    """Tell whoever asks until the block ends; without a free address, nobody is told."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        well, sentence = await answer()
        with suppress(OSError):
            writer.write((WELL if well else NOT_WELL) + sentence.encode() + b"\n")
            await writer.drain()
            writer.close()

    for number in range(1, _MOST_UNNAMED):
        name = instance if number == 1 else f"{instance}-{number}"
        address = door_of(service, name, config)
        server = await _listening(address, serve)
        if server is not None:
            break
    else:
        log.warning("nobody can ask %s %s for its health: no address is free", service, instance)
        yield
        return
    try:
        yield
    finally:
        server.close()
        _remove(address)


async def _listening(
    address: str, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> asyncio.AbstractServer | None:
    if not address.startswith("\0") and _answers(address):
        return None
    with suppress(OSError):
        return await asyncio.start_unix_server(serve, address)
    return None


def _answers(address: str) -> bool:
    """Whether somebody lives there; the file of a process that was killed is removed."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address)
        except OSError:
            _remove(address)
            return False
    return True


def _remove(address: str) -> None:
    if not address.startswith("\0"):
        with suppress(OSError):
            Path(address).unlink()
