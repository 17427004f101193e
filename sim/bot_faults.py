"""All that can go wrong between a sender of messages and the Bot API, by name.

The words are the real API's where it speaks; what nginx or a broken network say stands beside them.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

Does = Literal["reply", "drop", "reset", "silence"]

# How long the flood fault lets senders wait, seconds.
FLOOD_S = 1


@dataclass(frozen=True, slots=True)
class BotFault:
    """One way to fail.

    Attributes:
        does: with what: an answer, the end of the connection, or silence.
        accepts: the message is kept although the sender is not told so.
        open: whether anybody listens.
        only: the chat that it concerns, 0 for all.
        marked: only messages with markup meet it.
        passes: a sender who tries again later gets through.
        weight: how often it is drawn by chance, beside the others.
    """

    name: str
    does: Does = "reply"
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accepts: bool = False
    open: bool = True
    only: int = 0
    marked: bool = False
    passes: bool = False
    weight: float = 1.0

    def concerns(self, chat: str, *, marked: bool) -> bool:
        """Whether a message to this chat can meet it."""
        return self.only in (0, _number(chat)) and (marked or not self.marked)


def _number(text: str) -> int | None:
    with suppress(ValueError):
        return int(text)
    return None


def failure(code: int, description: str, **more: Any) -> dict[str, Any]:
    """The API's own form of an error."""
    return {"ok": False, "error_code": code, "description": description, **more}


def _api(
    name: str, code: int, description: str, *, passes: bool = False, **parameters: Any
) -> BotFault:
    more = {"parameters": parameters} if parameters else {}
    return BotFault(
        name, status=code, body=json.dumps(failure(code, description, **more)).encode(),
        passes=passes,
    )  # fmt: skip


def _nginx(name: str, code: int, title: str, *, passes: bool) -> BotFault:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>"
    return BotFault(name, status=code, body=page.encode(), content_type="text/html", passes=passes)


_RARE = 0.1  # what takes the whole time that a sender waits
_FLOOD = _api("flood", 429, f"Too Many Requests: retry after {FLOOD_S}", retry_after=FLOOD_S)

_ALL = (
    BotFault("refused", open=False),
    BotFault(
        "flood", status=429, body=_FLOOD.body, headers={"Retry-After": str(FLOOD_S)},
        passes=True, weight=_RARE,
    ),
    BotFault(
        "flood without parameters", status=429,
        body=json.dumps(failure(429, "Too Many Requests")).encode(), passes=True, weight=0.02,
    ),
    BotFault("entities", status=400, marked=True, body=json.dumps(failure(
        400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3',
    )).encode()),
    _api("chat not found", 400, "Bad Request: chat not found"),
    _api("too long", 400, "Bad Request: message is too long"),
    _api("401", 401, "Unauthorized"),
    _api("403", 403, "Forbidden: bot was blocked by the user"),
    _api("404", 404, "Not Found"),
    _api("409", 409, "Conflict: terminated by other getUpdates request", passes=True),
    _api("413", 413, "Request Entity Too Large"),
    _nginx("413 HTML", 413, "413 Request Entity Too Large", passes=True),
    _api("421", 421, "Misdirected Request", passes=True),
    _api("500", 500, "Internal Server Error: restart", passes=True),
    BotFault("500 without description", status=500,
             body=b'{"ok":false,"error_code":500}', passes=True),
    BotFault("500 accepted", status=500, accepts=True, passes=True, body=json.dumps(failure(
        500,
        "Internal Server Error: sent message was immediately deleted and can't be returned",
    )).encode()),
    _api("502", 502, "Bad Gateway", passes=True),
    _nginx("502 HTML", 502, "502 Bad Gateway", passes=True),
    _nginx("504 HTML", 504, "504 Gateway Time-out", passes=True),
    BotFault("no text", status=200, body=b"\xff\xfe\x80", passes=True),
    BotFault("silence", "silence", passes=True, weight=_RARE),
    BotFault("silence accepted", "silence", accepts=True, passes=True, weight=_RARE),
    BotFault("drop", "drop", passes=True),
    BotFault("drop accepted", "drop", accepts=True, passes=True),
    BotFault("reset", "reset", passes=True),
    BotFault("reset accepted", "reset", accepts=True, passes=True),
)  # fmt: skip

BOT_FAULTS = {fault.name: fault for fault in _ALL}
PASSING_BOT_FAULTS = tuple(fault for fault in _ALL if fault.passes)
