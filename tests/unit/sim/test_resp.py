"""RESP framing: the same pieces however the bytes are cut."""

import pytest

from sim.resp import CommandReader, ReplyReader

COMMANDS = [
    b"*1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$6\r\n\r\n*1\r\n\r\n",
    b"PING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
]
REPLIES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":42\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$5\r\n\r\n$3\n\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*0\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!3\r\nERR\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"|1\r\n+ttl\r\n:9\r\n*1\r\n+x\r\n",
]
PUSH = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_commands_come_out_as_they_came_in(size: int) -> None:
    stream, reader = b"".join(COMMANDS), CommandReader()
    found = [c for i in range(0, len(stream), size) for c in reader.feed(stream[i : i + size])]
    assert [command.raw for command in found] == COMMANDS
    assert [command.name for command in found] == ["PING", "SET", "PING", "ECHO"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_replies_come_out_as_they_came_in(size: int) -> None:
    expected = [*REPLIES, PUSH, *REPLIES]
    stream, reader = b"".join(expected), ReplyReader()
    found = [r for i in range(0, len(stream), size) for r in reader.feed(stream[i : i + size])]
    assert [reply.raw for reply in found] == expected
    assert [reply.push for reply in found] == [raw is PUSH for raw in expected]
