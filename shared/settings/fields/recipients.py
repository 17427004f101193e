"""Addresses of mail, names of hosts and chats of Telegram."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from shared.config_errors import Wrong
from shared.settings.fields.texts import distinct, one_line, one_or_many


def _address(text: str) -> str:
    form = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
    if not re.fullmatch(form, text):
        if re.fullmatch(rf"{form}(\s*[,;]\s*{form})+", text.strip()):
            raise Wrong("is several addresses in one text", 'write a list: ["a@b.c", "d@e.f"]')
        raise Wrong("is not an email address", "give the address alone, like me@example.com")
    return text


def _sender(text: str) -> str:
    """An address, or a name and an address: ``BTC Scanner <scanner@example.com>``."""
    named = re.fullmatch(r"[^\x00-\x1f\x7f<>\"@,;:]{1,60} <([^<>]+)>", text)
    try:
        _address(named[1] if named else text)
    except Wrong as wrong:
        raise Wrong(wrong.what, "like me@example.com or Name <me@example.com>") from None
    return text


def _host(text: str) -> str:
    label = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if len(text) > 253 or not re.fullmatch(
        rf"{label}([.]{label})*[.]?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", text
    ):
        raise Wrong("is not a host name", "give the name alone, like smtp.example.com")
    return text


def _chat(item: object) -> object:
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else item


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[
    tuple[Address, ...],
    BeforeValidator(one_or_many),
    AfterValidator(distinct),
    Field(min_length=1),
]
Sender = Annotated[str, AfterValidator(_sender)]
Host = Annotated[str, AfterValidator(_host)]
Chat = Annotated[str, BeforeValidator(_chat), AfterValidator(one_line)]
Chats = Annotated[tuple[Chat, ...], BeforeValidator(one_or_many), AfterValidator(distinct)]
