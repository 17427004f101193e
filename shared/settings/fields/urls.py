"""URLs of the exchange, of the Bot API and of whoever watches over us."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from shared.config_errors import Wrong
from shared.settings.fields.texts import distinct, many


def split_url(text: str, schemes: tuple[str, ...], example: str = "") -> SplitResult:
    """The parts of a URL of one of the schemes; says nothing of what stood in it."""
    if re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", text):
        raise Wrong("contains a space or control character", "remove it, or write it as %20")
    try:
        parts = urlsplit(text)
        port = parts.port  # the check happens on access
    except ValueError:
        parts, port = None, None
    if parts is None or port == 0:
        raise Wrong(
            "is not a URL with a valid host and port",
            "ports are 1 to 65535; write : / @ # of a password as %3A %2F %40 %23",
        )
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        near = get_close_matches(parts.scheme, schemes, n=1, cutoff=0.5)
        listed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Wrong(
            f"does not begin with {listed}",
            f"write it whole, like {example or f'{schemes[-1]}://…'}",
            f"{near[0]}://" if near else "",
        )
    try:
        (parts.hostname or "").encode("idna")  # as whoever looks the name up will do
    except UnicodeError:
        raise Wrong(
            "has no valid host name", "look for two dots in a row, or for a part that is too long"
        ) from None
    return parts


def _base_url(*schemes: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        parts = split_url(text, schemes)
        if not parts.hostname:
            raise Wrong("has no host", f"write it like {schemes[-1]}://host:port")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise Wrong("is more than a base URL", "leave out user, password, ? and #")
        return text.rstrip("/")

    return check


def _ping_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not split_url(text, ("http", "https")).hostname:
        raise Wrong("has no host", "write it like https://host/path")
    return secret


HttpUrl = Annotated[str, AfterValidator(_base_url("http", "https"))]
WsUrl = Annotated[str, AfterValidator(_base_url("ws", "wss"))]
PingUrl = Annotated[SecretStr, AfterValidator(_ping_url)]
HttpUrls = Annotated[
    tuple[HttpUrl, ...], BeforeValidator(many), AfterValidator(distinct), Field(min_length=1)
]
WsUrls = Annotated[
    tuple[WsUrl, ...], BeforeValidator(many), AfterValidator(distinct), Field(min_length=1)
]
