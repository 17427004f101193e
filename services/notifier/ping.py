"""Tells a watchman outside, every minute, that all is well; one notifier of several does.

When the machine, Redis or the network dies, nobody here is left to tell: then these fetches end,
and the watchman calls. The URL is a secret like a password, so no log and no error shows it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import shared
from services.notifier.background import in_background
from shared import keys
from shared.health import Heartbeat
from shared.log import Throttle
from shared.redis_access import RedisAccess
from shared.roll_call import longest_silence_s
from shared.settings import Settings

log = logging.getLogger(__name__)

_SCRIPT = Path(shared.__file__).parent / "scripts" / "ping.lua"
_SERVICES = ("ingest", "indicators", "detector", "notifier")

_EVERY_S = 60.0
_LOOK_S = 10.0
# The turn ends a little before the look that is due, so that sixty seconds do not become seventy.
_TURN_S = _EVERY_S - _LOOK_S / 2

_TIMEOUT_S = 10.0
_GIVE_UP_S = 20.0
_SAY_AGAIN_S = 3600.0


class Pinger:
    """Fetches ``health.ping_url``, if there is one."""

    def __init__(
        self,
        access: RedisAccess,
        settings: Settings,
        heartbeat: Heartbeat,
        *,
        turn_s: float = _TURN_S,
    ) -> None:
        """Nothing is read or fetched before ``run``."""
        self._url = settings.health.ping_url.get_secret_value()
        self._access, self._heartbeat = access, heartbeat
        self._longest_ms = round(longest_silence_s(settings.health) * 1000)
        self._turn_ms = round(turn_s * 1000)
        self._script = access.script(_SCRIPT.read_text())
        self._throttle = Throttle(_SAY_AGAIN_S)
        self._failing = False

    async def run(self) -> None:
        """Look until cancelled whether it is time; at once, where there is no URL."""
        while self._url:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> str:
        """Fetch the URL if all is well and it is our turn; what was found: turn, later or ill."""
        written = [keys.SERVICES, keys.TROUBLES, keys.PING]
        arguments = [str(self._longest_ms), str(self._turn_ms), *_SERVICES]
        reply = await self._access.aside(lambda: self._script(keys=written, args=arguments))
        if reply is None:
            return "ill"
        found, why = (text.decode() for text in cast("list[bytes]", reply))
        if found == "ill":
            self._heartbeat.facts["ping"] = f"withheld: {why}"
        elif found == "turn":
            self._note(await self._fetch())
        return found

    async def _fetch(self) -> str:
        """Why it failed; empty if it was fetched."""
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await in_background(fetching(self._url))
        except Exception as error:  # noqa: BLE001 - whatever it is, delivery goes on
            return _said(error)
        return ""

    def _note(self, failure: str) -> None:
        self._heartbeat.facts["ping"] = f"failed: {failure}" if failure else "answered"
        self._heartbeat.counters["pings_failed" if failure else "pings"] += 1
        if failure and self._throttle.admit(failure, time.monotonic()) is not None:
            log.warning("health.ping_url was not fetched: %s; trying again each minute", failure)
        elif self._failing and not failure:
            log.info("health.ping_url is fetched again")
        self._failing = bool(failure)


def fetching(url: str) -> Callable[[], None]:
    """A step that fetches ``url`` (GET; a proxy of the environment is used), or raises."""

    def fetch() -> None:
        from http.client import HTTPException  # noqa: PLC0415 - only if on
        from urllib.error import HTTPError, URLError  # noqa: PLC0415
        from urllib.request import Request, urlopen  # noqa: PLC0415

        request = Request(url, headers={"User-Agent": "btc-scanner"})  # noqa: S310 - checked
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                answer.read(1000)
        except HTTPError as error:  # its file and URL stay here
            error.close()
            raise PingFailed(f"it answers HTTP {error.code}") from None
        except URLError as error:
            raise PingFailed(_said(error.reason)) from None
        except HTTPException as error:
            raise PingFailed(f"its answer is no HTTP ({type(error).__name__})") from None

    return fetch


class PingFailed(Exception):
    """Why a fetch failed, for people, without the URL."""


def _said(error: object) -> str:
    """Without words that could quote the URL."""
    if isinstance(error, PingFailed):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s"
    return getattr(error, "strerror", None) or type(error).__name__
