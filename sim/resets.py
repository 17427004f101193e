"""Ending a TCP connection as a crash or a firewall does it: by a reset, without a farewell."""

import asyncio
import socket
import struct

# Linger for no time: closing throws away what was not sent, and the peer gets RST instead of FIN.
NO_LINGER = struct.pack("ii", 1, 0)


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Cut ``transport`` with a reset; a Unix socket knows none and is just cut."""
    if not isinstance(transport, asyncio.WriteTransport) or transport.is_closing():
        return
    wire = transport.get_extra_info("socket")
    if wire is not None and wire.family != getattr(socket, "AF_UNIX", None):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
