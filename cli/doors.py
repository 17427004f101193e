"""Knocking at the doors of services on this host: whose process it is, and whether it answers."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from shared.health_address import NOT_WELL, WELL

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Knock:
    """What came of it.

    Attributes:
        pid: The process behind the door; None where there is none, or the system does not tell.
        answer: What it says of itself; empty if it did not answer in time, so that it hangs.
    """

    pid: int | None
    answer: str

    @property
    def hangs(self) -> bool:
        """Whether somebody is there who does not answer."""
        return self.pid is not None and not self.answer


async def knock(address: str, patience_s: float) -> Knock:
    """Ask who lives at ``address``, see ``shared.health_address.door_of``."""
    pid, answer = None, b""
    with suppress(OSError):  # also where nobody lives, and TimeoutError
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_unix_connection(address)
            try:
                pid = _peer(writer.get_extra_info("socket"))
                answer = await reader.read(_LONGEST) or b"ends just now"
            finally:
                writer.close()
    words = answer.removeprefix(WELL).removeprefix(NOT_WELL).decode(errors="replace")
    return Knock(pid, words.strip())


def _peer(connection: socket.socket) -> int | None:
    """The process that listens at the other end."""
    option = getattr(socket, "SO_PEERCRED", None)  # Linux
    if option is None:
        return None
    answer = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(answer)[0] or None  # 0: it lives in another container
