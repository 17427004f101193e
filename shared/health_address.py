"""Where a running service can be asked on its host whether it is well; imports next to nothing."""

import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from shared.config_place import config_place

INSTANCE_VARIABLE = "BTC_SCANNER_INSTANCE"
FOLDER_VARIABLE = "BTC_SCANNER_DOORS"
"""A folder for the addresses, where services are in network namespaces of their own."""
_HOSTNAME = "hostname"
# How an answer begins.
WELL, NOT_WELL = b"+", b"-"


def default_instance(environ: Mapping[str, str]) -> str:
    """The name of an instance that was given none; ``hostname`` means that of the host."""
    named = environ.get(INSTANCE_VARIABLE, "")
    return socket.gethostname() if named == _HOSTNAME else named or "1"


def door_of(service: str, instance: str, config: Path | None) -> str:
    """The address of a service that runs with this configuration: of a Unix socket.

    On Linux it is an abstract one: no file, gone with the process, and each container has its own.
    Only files are seen from one network namespace to another: a folder for them may be named.
    """
    place = config_place(config, os.environ)
    of = str(Path.cwd() if place is None else place.resolve())
    digest = hashlib.sha256(f"{of}\n{service}\n{instance}".encode()).hexdigest()[
        :20
    ]  # addresses are short
    name = f"btc-scanner-{digest}"
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder and sys.platform.startswith("linux"):
        return f"\0{name}"
    return str(Path(folder or tempfile.gettempdir()) / name)
