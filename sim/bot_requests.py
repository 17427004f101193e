"""The parameters of a Bot API request, and what the API says of wrong ones."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sim.entities import Unparsable, parsed

MAX_TEXT = 4096
MAX_RAW_BYTES = 32_768
PARSE_MODES = ("html", "markdown", "markdownv2")


class Refused(Exception):
    """A request the API answers with an error."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.more = {"parameters": parameters} if parameters else {}


async def parameters_of(request: web.Request) -> dict[str, Any]:
    """From the query and the body in whichever form; the body wins."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise Refused(400, "Bad Request: can't parse JSON object") from None
        if not isinstance(body, dict):
            raise Refused(400, "Bad Request: object expected as JSON body")
        return given | body
    return given | dict(await request.post())


def text_of(parameters: Mapping[str, Any]) -> str:
    """What a reader will see of the message."""
    text = str(parameters.get("text") or "")
    mode = str(parameters.get("parse_mode") or "")
    if mode and mode.lower() not in PARSE_MODES:
        raise Refused(400, "Bad Request: unsupported parse_mode")
    if len(text.encode()) > MAX_RAW_BYTES:
        raise Refused(400, "Bad Request: text is too long")
    if mode.lower() == "html":
        try:
            text = parsed(text)
        except Unparsable as error:
            raise Refused(400, f"Bad Request: can't parse entities: {error}") from None
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > MAX_TEXT:
        raise Refused(400, "Bad Request: message is too long")
    return text
