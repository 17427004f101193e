"""Control messages of a stream connection (SUBSCRIBE and its kin), without the connection.

Replies are never wrapped in the combined envelope. An unknown symbol or interval is acknowledged
like any other and then stays silent, as the exchange does it.
"""

import json
import re
from typing import Any

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
UNKNOWN_PROPERTY = 0
_ID_TEXT = re.compile(r"[0-9A-Za-z]{1,36}")


class Refused(Exception):
    """A control message the exchange answers with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Subscriptions:
    """What one connection has asked for.

    Args:
        wrapped: whether events go out in the combined envelope.
    """

    def __init__(self, streams: list[str], *, wrapped: bool) -> None:
        self.streams = dict.fromkeys(streams)
        self.wrapped = wrapped

    def answer(self, text: str) -> str:
        """Obey one control message and give the reply."""
        request: dict[str, Any] = {}
        try:
            request = _parse(text)
            result = self._obey(request, text)
        except Refused as error:
            reply = {"code": error.code, "msg": error.message}
            if error.code == UNKNOWN_PROPERTY:  # the only error that tells the id
                reply["id"] = request["id"]
            return _dump(reply)
        return _dump({"result": result, "id": request["id"]})

    def _obey(self, request: dict[str, Any], text: str) -> Any:
        method, params = request["method"], request["params"]
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.streams)
        if method == "GET_PROPERTY":
            return self._property(params, count=1)
        if method == "SET_PROPERTY":
            self._property(params, count=2)
            if not isinstance(params[1], bool):
                raise Refused(1, "Invalid value type: expected Boolean")
            self.wrapped = params[1]
            return None
        if not all(isinstance(stream, str) for stream in params):
            raise Refused(
                2, f"Invalid request: invalid type, expected a string at line 1 column {len(text)}"
            )
        for stream in params:
            if method == "SUBSCRIBE":
                self.streams[stream] = None
            else:
                self.streams.pop(stream, None)
        return None

    def _property(self, params: list[Any], count: int) -> bool:
        if len(params) > count:
            raise Refused(2, "Invalid request: too many parameters")
        if not params or not isinstance(params[0], str):
            raise Refused(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise Refused(UNKNOWN_PROPERTY, "Unknown property")
        if len(params) < count:
            raise Refused(1, "Invalid value type: expected Boolean")
        return self.wrapped


def _parse(text: str) -> dict[str, Any]:
    """The message as a dict that has ``method``, ``params`` (a list) and ``id``."""
    try:
        request = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(
            3, f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
        ) from None
    if not isinstance(request, dict) or "method" not in request:
        raise Refused(
            2, f"Invalid request: missing field `method` at line 1 column {len(text.rstrip())}"
        )
    if request["method"] not in METHODS:
        shown = str(request["method"])
        column = text.find(f'"{shown}"') + len(shown) + 2
        expected = ", ".join(f"`{method}`" for method in METHODS)
        raise Refused(
            2,
            f"Invalid request: unknown variant `{shown}`, expected one of {expected} "
            f"at line 1 column {column}",
        )
    if not _is_id(request.get("id")):
        raise Refused(2, "Invalid request: request ID must be an unsigned integer")
    params = request.get("params", [])
    if not isinstance(params, list):
        raise Refused(
            2, f"Invalid request: invalid type, expected a sequence at line 1 column {len(text)}"
        )
    return {"method": request["method"], "params": params, "id": request.get("id")}


def _is_id(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value is None or (isinstance(value, str) and bool(_ID_TEXT.fullmatch(value)))


def _dump(reply: dict[str, Any]) -> str:
    return json.dumps(reply, separators=(",", ":"))
