"""The forms in which inputs come: bytes to a tree that can be mutated, and back. Pure.

A stream entry is written as ``ID␞name␞value␞…`` here. Redis gives any bytes for names and values,
but only two numbers of 64 bits for an ID, so whatever stands for it is read as such.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

_SEPARATOR = b"\x1e"
_ID_PART = 2**64


@dataclass(frozen=True, slots=True)
class Form:
    """How inputs of one kind are taken apart and put together.

    Attributes:
        parse: The tree in the bytes; raises ValueError if there is none.
        render: The bytes of a tree; raises ValueError or TypeError for what cannot be written.
    """

    parse: Callable[[bytes], Any]
    render: Callable[[Any], bytes]


def _write_json(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _write_msgpack(tree: Any) -> bytes:
    packed: bytes = msgpack.packb(tree, unicode_errors="surrogatepass")
    return packed


def _read_msgpack(raw: bytes) -> Any:
    return msgpack.unpackb(raw, strict_map_key=False)


def write_entry(entry_id: str, flat: list[str]) -> bytes:
    """An entry as these files hold it."""
    return _SEPARATOR.join(text.encode() for text in (entry_id, *flat))


def read_entry(raw: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """ID and fields as redis-py gives them."""
    entry_id, *flat = raw.split(_SEPARATOR)
    parts = [int(digits[-30:]) % _ID_PART for digits in re.findall(rb"[0-9]+", entry_id)]
    boundary, sequence, *_ = [*parts, 0, 0]
    return f"{boundary}-{sequence}".encode(), dict(zip(flat[::2], flat[1::2], strict=False))


def _entry_tree(raw: bytes) -> Any:
    entry_id, *flat = (part.decode("utf-8", "surrogateescape") for part in raw.split(_SEPARATOR))
    return {"": entry_id, **dict(zip(flat[::2], flat[1::2], strict=False))}


def _write_tree(tree: Any) -> bytes:
    if not isinstance(tree, dict):
        raise TypeError("an entry has fields")
    flat = [_text(tree.get("", ""))]
    flat += [_text(each) for pair in tree.items() if pair[0] != "" for each in pair]
    return _SEPARATOR.join(text.encode("utf-8", "surrogatepass") for text in flat)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


JSON = Form(json.loads, _write_json)
MSGPACK = Form(_read_msgpack, _write_msgpack)
ENTRY = Form(_entry_tree, _write_tree)
