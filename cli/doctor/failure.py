"""What kept a connection from being made, told apart by what a person can do about it."""

import socket
import ssl
from collections.abc import Iterator

from aiohttp import ServerDisconnectedError

from cli.doctor.verdicts.exchange import Failure


def failure_of(error: BaseException) -> Failure:
    """The kind of what aiohttp, websockets, ssl or the network raised."""
    for each in _chain(error):
        found = _known(each)
        if found is not None:
            return found
    return Failure("other", type(error).__name__)


def _known(error: BaseException) -> Failure | None:
    found: Failure | None = None
    if isinstance(error, ssl.SSLCertVerificationError):
        found = Failure("certificate", error.verify_message)
    elif isinstance(error, ssl.SSLError):
        found = Failure("tls", getattr(error, "reason", None) or "no reason given")
    elif isinstance(error, socket.gaierror):
        found = Failure("dns")
    elif isinstance(error, TimeoutError):
        found = Failure("timeout")
    elif "Proxy" in type(error).__name__:
        found = Failure("proxy")
    elif isinstance(error, OSError | ServerDisconnectedError):
        found = Failure("network", getattr(error, "strerror", None) or "the connection was cut")
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What caused it, the innermost first: it knows most."""
    for attribute in ("os_error", "__cause__"):
        inner = getattr(error, attribute, None)
        if isinstance(inner, BaseException) and inner is not error:
            yield from _chain(inner)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _chain(inner)
    yield error
