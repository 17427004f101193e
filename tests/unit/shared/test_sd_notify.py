"""What arrives at a supervisor's socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.sd_notify import LONGEST_STATUS, Supervisor


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As ``$NOTIFY_SOCKET`` has it."""
    return str(tmp_path / "notify") if request.param == "path" else f"@btc-scanner-{os.getpid()}"


@pytest.fixture
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind("\0" + address[1:] if address.startswith("@") else address)
        peer.settimeout(5)
        yield peer


def test_each_word_arrives_as_one_datagram(listening: socket.socket, address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    assert supervisor.listens
    supervisor.ready()
    assert listening.recv(1000) == b"READY=1"
    supervisor.tell("running; 3 signals", alive=True)
    assert listening.recv(1000) == b"STATUS=running; 3 signals\nWATCHDOG=1"
    supervisor.tell("stuck: candles (61 s)", alive=False)
    assert listening.recv(1000) == b"STATUS=stuck: candles (61 s)"
    supervisor.stopping()
    assert listening.recv(1000) == b"STOPPING=1\nSTATUS=stopping"


def test_a_status_stays_one_short_line(listening: socket.socket, address: str) -> None:
    Supervisor({"NOTIFY_SOCKET": address}).tell("a\nWATCHDOG=trigger\n" + "ä" * 500, alive=False)
    said = listening.recv(10_000).decode()
    assert said.startswith("STATUS=a WATCHDOG=trigger ä")
    assert said.count("\n") == 0
    assert len(said) == len("STATUS=") + LONGEST_STATUS


def test_without_a_supervisor_nothing_happens() -> None:
    supervisor = Supervisor({})
    supervisor.ready()
    supervisor.tell("running", alive=True)
    assert not supervisor.listens
    assert supervisor.watchdog_s is None


def test_a_supervisor_that_is_gone_or_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        for _ in range(2000):  # more than its queue takes
            Supervisor({"NOTIFY_SOCKET": str(tmp_path / "deaf")}).tell("running", alive=True)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
    ids=["set", "for us", "for our parent", "off", "nonsense", "not set"],
)
def test_the_watchdog_counts_only_for_this_process(
    variables: dict[str, str], seconds: float | None
) -> None:
    assert Supervisor(variables, pid=7).watchdog_s == seconds
