"""What systemd is told by a service of ``Type=notify``: ready, stopping, alive, and how it is.

Datagrams of ``KEY=value`` lines to the socket in ``$NOTIFY_SOCKET``, which other supervisors speak
too; without that variable nothing is sent. A datagram that cannot be sent is lost without a word:
the supervisor then notices by itself.
"""

import contextlib
import os
import socket
from collections.abc import Mapping

# systemd takes much more, but shows the status on one line.
LONGEST_STATUS = 200


class Supervisor:
    """The other end of ``$NOTIFY_SOCKET``.

    Attributes:
        watchdog_s: How soon after the last ``alive`` it ends this process; None for never.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        """Read the variables of this process; nothing is sent yet."""
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ, os.getpid() if pid is None else pid)

    @property
    def listens(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    def ready(self) -> None:
        """The start is over; from now on the watchdog counts."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", "STATUS=stopping")

    def tell(self, status: str, *, alive: bool) -> None:
        """Show ``status``, and if ``alive`` set the watchdog back to its start."""
        line = " ".join(status.split())
        if len(line) > LONGEST_STATUS:
            line = line[: LONGEST_STATUS - 1] + "…"
        self._send(f"STATUS={line}", *(["WATCHDOG=1"] if alive else []))

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the NUL byte of Linux's abstract addresses.
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        data = "\n".join(lines).encode("utf-8", "replace")
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as peer,
        ):
            peer.setblocking(False)  # a supervisor that does not read must not hold up the service
            peer.connect(name)
            peer.send(data)


def _watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", "") or str(pid)  # a child inherits what is not for it
    if not microseconds.isascii() or not microseconds.isdigit() or meant_for != str(pid):
        return None
    return int(microseconds) / 1e6 or None
