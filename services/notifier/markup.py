"""A Telegram message as lines, some of them bold: as plain text, and in Telegram's HTML. Pure.

What is too long is cut before it is rendered: a cut through a tag or an entity would be refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import escape

# After its entities are parsed, in UTF-16 units.
MESSAGE_UNITS = 4096

_MORE = "…"
# Lines are shortened down to this; what is still too long loses its last lines.
_SHORTEST_UNITS = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a message."""

    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What a Telegram message says."""

    lines: tuple[Line, ...]

    @property
    def plain(self) -> str:
        """As a reader sees it."""
        return "\n".join(line.text for line in self.lines)

    @property
    def html(self) -> str:
        """For ``parse_mode`` HTML; parsed, it is ``plain``."""
        return "\n".join(map(_rendered, self.lines))

    def fitted(self, units: int = MESSAGE_UNITS) -> "Message":
        """The message cut to so many UTF-16 units: the longest lines first, then the last ones."""
        lines = list(self.lines)
        while (excess := _units_of(lines) - units) > 0:
            longest = max(range(len(lines)), key=lambda n: length(lines[n].text))
            has = length(lines[longest].text)
            if has <= _SHORTEST_UNITS:
                lines.pop()
                continue
            text = cut(lines[longest].text, max(_SHORTEST_UNITS, has - excess))
            lines[longest] = replace(lines[longest], text=text)
        return Message(tuple(lines))


def message(lines: Iterable[str | Line]) -> Message:
    """A message of these lines, cut to what Telegram takes."""
    made = (line if isinstance(line, Line) else Line(line) for line in lines)
    return Message(tuple(made)).fitted()


def bold(text: str) -> Line:
    """A line in bold."""
    return Line(text, bold=True)


def length(text: str) -> int:
    """In UTF-16 units, as Telegram counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, units: int) -> str:
    """The text in at most so many UTF-16 units, with a mark if something is missing."""
    if length(text) <= units:
        return text
    kept, used = [], length(_MORE)
    for character in text:
        used += length(character)
        if used > units:
            break
        kept.append(character)
    return "".join(kept) + _MORE


def _units_of(lines: list[Line]) -> int:
    return sum(length(line.text) for line in lines) + max(0, len(lines) - 1)


def _rendered(line: Line) -> str:
    shown = escape(line.text, quote=False)
    return f"<b>{shown}</b>" if line.bold and shown else shown
