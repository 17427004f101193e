"""A listening port (or Unix socket) that can be shut: who knocks is refused, and nobody takes it.

While shut, the address stays bound to a socket that does not listen: the kernel answers with a
refusal, and no other program can take the port. That socket later becomes the new listener.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


class Door:
    """One address that is served while the door is open.

    Args:
        listen: makes an asyncio server out of a bound socket.
    """

    def __init__(self, listen: Callable[[socket.socket], Awaitable[asyncio.Server]]) -> None:
        self._listen = listen
        self._servers: list[asyncio.Server] = []
        self._held: list[socket.socket] = []
        self._shall_be_open = True
        self._wish = asyncio.Event()

    @asynccontextmanager
    async def keep(self, server: asyncio.Server) -> AsyncIterator[None]:
        """Take over ``server``, which listens already, until the block ends."""
        self._servers = [server]
        try:
            async with asyncio.TaskGroup() as group:
                porter = group.create_task(self._open_on_request(), name="door")
                yield
                porter.cancel()
        finally:
            self._close()
            for wire in self._held:
                wire.close()

    def shut(self) -> None:
        """Refuse connections from now on; those that exist are not touched."""
        self._shall_be_open = False
        if not self._held:
            wires = [wire for server in self._servers for wire in server.sockets]
            addresses = [(wire.family, wire.getsockname()) for wire in wires]
            self._close()
            self._held = [_bound(*address) for address in addresses]

    def open(self) -> None:
        """Listen again, a few turns of the loop later."""
        self._shall_be_open = True
        self._wish.set()

    async def _open_on_request(self) -> None:
        while True:
            await self._wish.wait()
            self._wish.clear()
            while self._held and self._shall_be_open:
                self._servers.append(await self._listen(self._held[-1]))
                self._held.pop()
            if not self._shall_be_open:
                self.shut()  # it was shut again while it opened

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []


def _bound(family: int, address: Any) -> socket.socket:
    """A socket that has the address and does not listen."""
    wire = socket.socket(family, socket.SOCK_STREAM)
    if isinstance(address, str):
        Path(address).unlink(missing_ok=True)
    else:
        # Connections of the port's former life may still be about.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wire.bind(address)
    wire.setblocking(False)
    return wire
