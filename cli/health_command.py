"""``btc-scanner health``: whether a service on this host is well; for engines and scripts.

Imports next to nothing: it is run every few seconds.
"""

import socket
from pathlib import Path

from cli import EXIT_FAILURE
from shared.health_address import WELL, door_of

ANSWER_S = 3.0
_LONGEST = 4096


def run(service: str, instance: str, config: Path | None) -> int:
    """Print what the service says of itself; 0 only if it says that it is well."""
    well, sentence = ask(door_of(service, instance, config))
    print(f"{service} {instance}: {sentence}")
    return 0 if well else EXIT_FAILURE


def ask(address: str) -> tuple[bool, str]:
    """What the service behind an address answers, and whether that is good."""
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(ANSWER_S)
            door.connect(address)
            answer = _all(door)
    except TimeoutError:
        return False, f"does not answer within {ANSWER_S:g} s: it hangs, or is stopped"
    except OSError:
        return False, "does not run on this host with this configuration"
    if not answer:
        return False, "ends just now"
    return answer[:1] == WELL, answer[1:].decode(errors="replace").strip()


def _all(door: socket.socket) -> bytes:
    found = b""
    while len(found) < _LONGEST and (part := door.recv(_LONGEST)):
        found += part
    return found
