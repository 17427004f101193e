"""Connects to every WebSocket host of the exchange, and waits until it says something."""

import asyncio
import time
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from cli.doctor.failure import failure_of
from cli.doctor.installation import Installation
from cli.doctor.report import Finding, warn
from cli.doctor.verdicts import exchange as verdict
from cli.doctor.verdicts.exchange import Failure, Tried
from services.ingest.hosts import is_loopback

_OPEN_S = 5.0
_SPEAK_S = 4.0
_CLOSE_S = 0.5
# Always answered, also where the market is quiet.
_QUESTION = '{"method": "LIST_SUBSCRIPTIONS", "id": 1}'


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    reason = found.unknown("exchange", "ws_hosts") if found.examined.readable else ""
    if reason:
        yield warn("WebSocket", f"not checked: {reason}", "correct that first")
        return
    exchange = found.settings.exchange
    path = f"/stream?streams={exchange.market.lower()}@kline_{exchange.timeframes[0]}"
    tried = await asyncio.gather(*(_try(host, path) for host in exchange.ws_hosts))
    yield verdict.hosts("WebSocket", tried)


async def _try(host: str, path: str) -> Tried:
    url, began_s = host + path, time.monotonic()
    try:
        async with connect(
            url,
            compression=None,
            proxy=None if is_loopback(url) else True,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
        ) as socket:
            opened_ms = (time.monotonic() - began_s) * 1000
            return await _listen(host, socket, opened_ms)
    except InvalidStatus as error:
        return Tried(host, failure=verdict.status_failure(error.response.status_code))
    except (WebSocketException, OSError, ValueError) as error:
        found = failure_of(error)
        if found.kind == "other" and isinstance(error, InvalidHandshake):
            found = Failure("foreign")
        return Tried(host, failure=found)


async def _listen(host: str, socket: ClientConnection, opened_ms: float) -> Tried:
    try:
        async with asyncio.timeout(_SPEAK_S):
            await socket.send(_QUESTION)
            await socket.recv(decode=False)
    except TimeoutError:
        return Tried(host, failure=Failure("silent"))
    return Tried(host, opened_ms)
