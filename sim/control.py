"""A small HTTP API over the simulated outside, for programs that run it as a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from sim.outside import Impossible, Outside

# A replay of years asks about all its boundaries at once.
MAX_BODY_BYTES = 64 * 1024 * 1024


class Control:
    """``GET /state``, ``GET /deliveries``, ``POST /sent``, ``POST /fault``, ``POST /quit``.

    Attributes:
        quit: set when somebody asked for the end.
    """

    def __init__(self, outside: Outside) -> None:
        self.quit = asyncio.Event()
        self._outside = outside

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen; yields the root URL."""
        app = web.Application(middlewares=[_explain], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/state", self._state),
                web.get("/deliveries", self._deliveries),
                web.post("/sent", self._sent),
                web.post("/fault", self._fault),
                web.post("/quit", self._quit),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self._outside.state())

    async def _deliveries(self, request: web.Request) -> web.Response:
        since = [int(request.query.get(name, 0)) for name in ("since_email", "since_telegram")]
        return web.json_response(self._outside.deliveries(*since))

    async def _sent(self, request: web.Request) -> web.Response:
        asked = await _body(request)
        boundaries = [int(boundary) for boundary in asked["boundaries"]]
        sent = self._outside.exchange.sent_at(str(asked["timeframe"]), boundaries)
        return web.json_response({"sent_ns": sent})

    async def _fault(self, request: web.Request) -> web.Response:
        self._outside.fault(await _body(request))
        return web.json_response({})

    async def _quit(self, request: web.Request) -> web.Response:
        self.quit.set()
        return web.json_response({})


@web.middleware
async def _explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """A request that does not fit gets a sentence instead of a 500."""
    try:
        response: web.StreamResponse = await handler(request)
    except (Impossible, ValueError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except KeyError as error:
        return web.json_response({"error": f"{error} is missing"}, status=400)
    return response


async def _body(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return body
