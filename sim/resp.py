"""Where a command or a reply of Redis ends in a stream of bytes (RESP 2 and 3); pure.

Nothing is decoded but the command's name: what a proxy passes on is what came in.
"""

from dataclasses import dataclass

_LINE_END = b"\r\n"

# Types that state the length of what follows, and those that state a number of parts.
_SIZED = frozenset(b"$=!")
_PARTS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_PUSH = ord(">")
_ATTRIBUTE = ord("|")


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it came; ``name`` in capitals."""

    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as it came; a push belongs to no command."""

    raw: bytes
    push: bool


class CommandReader:
    """Finds the commands in what a client sends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are complete with ``data``."""
        buffer = self._rest + data if self._rest else data
        at = 0
        commands = []
        while (found := _command_at(buffer, at)) is not None:
            end, name = found
            commands.append(Command(name.decode(errors="replace").upper(), buffer[at:end]))
            at = end
        self._rest = buffer[at:]
        return commands


class ReplyReader:
    """Finds the replies in what a server sends, however deep they are."""

    def __init__(self) -> None:
        self._rest = b""
        self._at = 0
        self._left = 0
        self._push = False

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are complete with ``data``."""
        buffer = self._rest + data if self._rest else data
        start, at = 0, self._at
        replies = []
        while (found := _element_at(buffer, at)) is not None:
            end, parts = found
            if not self._left:
                self._left, self._push = 1, buffer[at] == _PUSH
            self._left += parts - 1
            at = end
            if not self._left:
                replies.append(Reply(buffer[start:at], self._push))
                start = at
        self._rest, self._at = buffer[start:], at - start
        return replies


def _command_at(buffer: bytes, at: int) -> tuple[int, bytes] | None:
    """Where the command that begins at ``at`` ends, and its name; None if it is not complete."""
    line_end = buffer.find(_LINE_END, at)
    if line_end < 0:
        return None
    if buffer[at] != ord("*"):  # typed by hand
        return line_end + 2, (buffer[at:line_end].split() or [b""])[0]
    name = b""
    end = line_end + 2
    for part in range(int(buffer[at + 1 : line_end])):
        line_end = buffer.find(_LINE_END, end)
        if line_end < 0:
            return None
        begin, end = line_end + 2, line_end + 4 + int(buffer[end + 1 : line_end])
        if end > len(buffer):
            return None
        if part == 0:
            name = buffer[begin : end - 2]
    return end, name


def _element_at(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Where the element at ``at`` ends (without its parts), and of how many parts it is."""
    line_end = buffer.find(_LINE_END, at)
    if line_end < 0:
        return None
    kind = buffer[at]
    if kind in _SIZED:
        length = int(buffer[at + 1 : line_end])
        end = line_end + 2 if length < 0 else line_end + 4 + length
        return (end, 0) if end <= len(buffer) else None
    if kind in _PARTS:
        parts = max(0, int(buffer[at + 1 : line_end])) * _PARTS[kind]
        # What an attribute describes comes after it, and is the element proper.
        return line_end + 2, parts + (kind == _ATTRIBUTE)
    return line_end + 2, 0
