"""What this host knows of the services beside Redis: their doors, and how to start one."""

import os
import shlex
import sys
from pathlib import Path

from cli.doors import Knock, knock
from cli.supervisor import ROOT
from shared.health_address import default_instance, door_of

# Of a process that does not hang.
_ANSWER_S = 1.0


async def knock_at(service: str, config: Path | None) -> Knock:
    """Whether a process of the service runs here with this configuration, and answers."""
    return await knock(door_of(service, default_instance(os.environ), config), _ANSWER_S)


def start_alone(config: Path | None) -> str:
    """The command that starts a single service, without the service's name at its end."""
    named = f"BTC_SCANNER_CONFIG={shlex.quote(str(config.absolute()))} " if config else ""
    folder, python = shlex.quote(str(ROOT)), shlex.quote(sys.executable)
    return f"{named}PYTHONPATH={folder} {python} -P -m services."
