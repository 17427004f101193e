"""Answers of a simulated server that are scripted, or break off."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from sim.resets import reset
from sim.script import Answer


async def respond(request: web.Request, answer: Answer) -> web.Response:
    """Give a scripted answer, or cut the connection."""
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    if answer.reset:
        reset(request.transport)
    elif answer.drop and request.transport is not None:
        request.transport.abort()
    return web.Response(
        status=answer.status,
        text=answer.body,
        headers=dict(answer.headers),
        content_type=answer.content_type,
    )


async def break_off(
    request: web.Request, body: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Promise the whole body, send half of it, and end the connection."""
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
