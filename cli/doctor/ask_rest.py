"""Asks every REST host of the exchange for its time; one of them often, and for the market."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import aiohttp

from cli.doctor.failure import failure_of
from cli.doctor.installation import Installation
from cli.doctor.report import Finding, warn
from cli.doctor.verdicts import exchange as verdict
from cli.doctor.verdicts.exchange import Failure, Tried
from services.ingest.hosts import is_loopback
from services.ingest.pages import near_misses, read_markets, read_server_time
from services.ingest.skew import Skew
from shared.malformed import Malformed
from shared.market import Market, market_of

_STEP_S = 5.0
_SAMPLES = 5
_UNKNOWN_SYMBOL = b"-1121"
# The list of all markets has some 20 MB.
_LARGEST_BODY = 64 * 1024 * 1024


class _Refused(Exception):
    """The exchange answered, and not as hoped."""

    def __init__(self, failure: Failure, body: bytes = b"") -> None:
        super().__init__(failure.kind)
        self.failure, self.body = failure, body


_ERRORS = (aiohttp.ClientError, OSError, ValueError, _Refused)


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    reason = found.unknown("exchange", "rest_hosts") if found.examined.readable else ""
    if reason:
        yield warn("REST", f"not checked: {reason}", "correct that first")
        return
    exchange = found.settings.exchange
    proxied = not all(is_loopback(host) for host in exchange.rest_hosts)
    timeout = aiohttp.ClientTimeout(total=_STEP_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=proxied) as session:
        tried = await asyncio.gather(*(_try(session, host) for host in exchange.rest_hosts))
        yield verdict.hosts("REST", tried)
        host = next((each.host for each in tried if each.failure is None), None)
        if host is None:
            yield warn("clock", "not compared: no REST host answers", "see REST above")
            return
        yield await _clock(session, host, exchange.max_clock_skew_seconds)
        if reason := found.unknown("exchange", "symbol") if found.examined.readable else "":
            yield warn("symbol", f"not checked: {reason}", "correct that first")
        else:
            yield await _symbol(session, host, exchange.symbol)


async def _try(session: aiohttp.ClientSession, host: str) -> Tried:
    asked_s = time.monotonic()
    try:
        read_server_time(await _get(session, f"{host}/api/v3/time"))
    except Malformed:
        return Tried(host, failure=Failure("foreign"))
    except _Refused as error:
        return Tried(host, failure=error.failure)
    except _ERRORS as error:
        return Tried(host, failure=failure_of(error))
    return Tried(host, (time.monotonic() - asked_s) * 1000)


async def _clock(session: aiohttp.ClientSession, host: str, most_s: float | None) -> Finding:
    skew = Skew()
    for _ in range(_SAMPLES):
        asked_ms, asked_s = time.time() * 1000, time.monotonic()
        try:
            server_ms = read_server_time(await _get(session, f"{host}/api/v3/time"))
        except _ERRORS:
            continue
        skew.answered(server_ms, asked_ms, (time.monotonic() - asked_s) * 1000)
    return verdict.clock(socket.gethostname(), skew.ms, most_s)


async def _symbol(session: aiohttp.ClientSession, host: str, wanted: str) -> Finding:
    url = f"{host}/api/v3/exchangeInfo"
    try:
        return verdict.symbol(wanted, await _markets(session, f"{url}?symbol={_id(wanted)}"), ())
    except _Refused as error:
        if _UNKNOWN_SYMBOL not in error.body:
            return _unsure(wanted)
    except _ERRORS:
        return _unsure(wanted)
    try:
        near = near_misses(wanted, await _markets(session, url))
    except _ERRORS:
        near = []
    return verdict.symbol(wanted, (), near)


def _id(symbol: str) -> str:
    return market_of(symbol).symbol


def _unsure(wanted: str) -> Finding:
    return warn("symbol", f"the exchange did not say whether it has {wanted}", "try again")


async def _markets(session: aiohttp.ClientSession, url: str) -> list[Market]:
    return read_markets(await _get(session, url))


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False) as answer:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise _Refused(Failure("foreign"))
    if answer.status != 200:
        raise _Refused(verdict.status_failure(answer.status), bytes(body))
    return bytes(body)
