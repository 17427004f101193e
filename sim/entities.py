"""Telegram's HTML, parsed as the Bot API does: what a reader sees, or why it is refused.

An ampersand that begins nothing known stays as it is; so do named entities other than four. Tags
are matched strictly. Offsets count bytes of UTF-8.
"""

import re

_TAGS = frozenset(
    (
        *("a", "b", "blockquote", "code", "del", "em", "i", "ins", "pre", "s", "span", "strike"),
        *("strong", "tg-emoji", "tg-spoiler", "tg-time", "u"),
    )
)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#[xX]([0-9a-fA-F]{1,8})|#([0-9]{1,10})|([a-zA-Z]{1,10}));?")
_END = re.compile(r"</([^\s>]*)\s*(>?)")
_START = re.compile(r"<([^\s>]*)([^<>\"']*(?:\"[^\"]*\"[^<>\"']*|'[^']*'[^<>\"']*)*)(>?)")
_ATTRIBUTE = re.compile(
    r"\s*([^\s=>]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9.\-]+)(?=\s|$)))?"
)
# Attributes that stand alone.
_BARE = frozenset({"expandable"})


class Unparsable(ValueError):
    """The text is no HTML as Telegram has it; the message says why, in its words."""


def parsed(html: str) -> str:
    """The text of a message after its entities are parsed.

    Raises:
        Unparsable: Telegram would refuse it.
    """
    seen: list[str] = []
    open_tags: list[str] = []
    position = 0
    while position < len(html):
        character = html[position]
        if character == "<":
            position = _tag(html, position, open_tags)
            continue
        found = _ENTITY.match(html, position) if character == "&" else None
        decoded = _decoded(found) if found else None
        if found and decoded:
            seen.append(decoded)
            position = found.end()
        else:
            seen.append(character)
            position += 1
    if open_tags:
        raise Unparsable(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return "".join(seen)


def _decoded(found: re.Match[str]) -> str | None:
    hexadecimal, decimal, name = found.groups()
    if name:
        return _NAMED.get(name)
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None


def _tag(html: str, position: int, open_tags: list[str]) -> int:
    """Read the tag at ``position``; where it ends."""
    if html.startswith("</", position):
        return _end_tag(html, position, open_tags)
    at = _at(html, position)
    found = _START.match(html, position)
    if found is None or not (found[3] or found[2]):
        raise Unparsable(f"Unclosed start tag {at}")
    name = found[1].lower()
    if name not in _TAGS:
        raise Unparsable(f'Unsupported start tag "{name}" {at}')
    if not found[3]:
        raise Unparsable(f"Unclosed start tag {at}")
    attributes = _attributes(found[2], name, at)
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise Unparsable(f'Tag "span" must have class "tg-spoiler" {at}')
    open_tags.append(name)
    return found.end()


def _attributes(text: str, tag: str, at: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    while text.strip():
        found = _ATTRIBUTE.match(text)
        if found is None:
            raise Unparsable(f'Empty attribute name in the tag "{tag}" {at}')
        name = found[1].lower()
        value = next((each for each in found.groups()[1:] if each is not None), None)
        if value is None and name not in _BARE:
            raise Unparsable(
                f'Expected equal sign in declaration of an attribute of the tag "{tag}" {at}'
            )
        attributes[name] = value or ""
        text = text[found.end() :]
    return attributes


def _end_tag(html: str, position: int, open_tags: list[str]) -> int:
    at = _at(html, position)
    if not open_tags:
        raise Unparsable(f"Unexpected end tag {at}")
    found = _END.match(html, position)
    if found is None or not found[2]:
        raise Unparsable(f"Unclosed end tag {at}")
    name, expected = found[1], open_tags.pop()
    if name and name != expected:
        raise Unparsable(f'Unmatched end tag {at}, expected "</{expected}>", found "</{name}>"')
    return found.end()


def _at(html: str, position: int) -> str:
    return f"at byte offset {len(html[:position].encode())}"
