"""Whether this machine is fit: Python and its packages, disks, units of systemd. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cli.doctor.report import Finding, fail, ok, warn

GB, MB = 1024**3, 1024**2
LEAST_PYTHON, MOST_PYTHON = (3, 11), (3, 14)
# The stamp of the launcher; without it, it builds the environment anew.
_REBUILD = "rm {stamp}; then ./btc-scanner builds the environment anew"
_INSTALL = (
    "start it by ./btc-scanner, which builds an environment of its own; an image or a system"
    " installation: install it again"
)
_LOCKED = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;?)")
_SHOWN = 5


def python(version: tuple[int, int], shown: str) -> Finding:
    """Whether this Python is one that the scanner is tested with."""
    if LEAST_PYTHON <= version <= MOST_PYTHON:
        return ok("Python", shown)
    return fail("Python", f"{shown} is not supported", "install Python 3.11 to 3.14")


@dataclass(frozen=True, slots=True)
class Locked:
    """What requirements.txt wants of one package, in one of these versions.

    Attributes:
        conditional: Whether some machines do without it.
    """

    name: str
    versions: tuple[str, ...]
    conditional: bool


def read_lock(text: str) -> Iterator[Locked]:
    """The packages of requirements.txt."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for line in text.splitlines():
        if match := _LOCKED.match(line):
            found.setdefault(match[1], []).append((match[2], bool(match[3])))
    for name, entries in found.items():
        versions = tuple(version for version, _ in entries)
        alternatives = len(versions) > 1
        yield Locked(name, versions, all(marked for _, marked in entries) and not alternatives)


def packages(
    locked: Sequence[Locked], installed: Mapping[str, str], *, stamp: str
) -> Iterator[Finding]:
    """Whether they are there.

    Args:
        locked: What should be.
        installed: The version of each that is.
        stamp: A file that shows that ./btc-scanner has built this environment; else empty.
    """
    missing = [e.name for e in locked if e.name not in installed and not e.conditional]
    other = [
        f"{each.name} {installed[each.name]} instead of {' or '.join(each.versions)}"
        for each in locked
        if each.name in installed and installed[each.name] not in each.versions
    ]
    remedy = _REBUILD.format(stamp=stamp) if stamp else _INSTALL
    if missing:
        yield fail("packages", f"missing: {_some(missing)}", remedy)
    if other:
        yield warn("packages", f"not as locked: {_some(other)}", remedy)
    if not missing and not other:
        yield ok("packages", f"all {len(locked)} as in requirements.txt")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a folder.

    Attributes:
        what: What the folder is for.
        free: Bytes that may be used by everybody.
        files: How many more files there may be; None where there is no limit.
    """

    what: str
    folder: str
    free: int
    files: int | None


def disk(seen: Disk) -> Finding:
    """Whether there is room."""
    check, where = f"{seen.what} disk", f"of {seen.folder}"
    remedy = "free some space; logging.retention_days says how long old logs are kept"
    if seen.files == 0:
        return fail(check, f"no more files can be made on the disk {where} (no inodes)", remedy)
    room = f"{seen.free / GB:.1f} GB" if seen.free >= GB else f"{seen.free // MB} MB"
    what = f"{room} free on the disk {where}"
    if seen.free < 100 * MB:
        return fail(check, what, remedy)
    return warn(check, what, remedy) if seen.free < GB else ok(check, what)


@dataclass(frozen=True, slots=True)
class Unwritable:
    """What keeps logs from being written.

    Attributes:
        kind: ``absent``: the folder is not there and cannot be made; ``folder``: it is there;
            ``file``: one of the log files; ``obstacle``: something else has its name.
        path: Of that.
        shown: As a shell takes it.
    """

    kind: Literal["absent", "folder", "file", "obstacle"]
    path: str
    shown: str
    reason: str


# Never a folder's owner: it may be one that others need, like /var/log.
_LET_WRITE = {
    "absent": "sudo install -d -o {user} {shown}",
    "folder": "let {user} write there (see ls -ld {shown})",
    "file": "sudo chown {user} {shown}",
    "obstacle": "move {shown} away",
}


def writable(folder: str, user: str, faults: Sequence[Unwritable]) -> Iterator[Finding]:
    """Whether ``user`` can log there."""
    for each in faults:
        remedy = _LET_WRITE[each.kind].format(user=user, shown=each.shown)
        yield fail(
            "log folder",
            f"{each.path} cannot be {'made' if each.kind == 'absent' else 'written'} by {user}:"
            f" {each.reason}",
            f"{remedy}, or set logging.file to another folder",
        )
    if not faults:
        yield ok("log folder", f"{folder} can be written by {user}")


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of systemd, as ``systemctl show`` tells."""

    name: str
    active: str
    sub: str
    result: str
    enabled: str
    restarts: int


def read_units(text: str) -> Iterator[Unit]:
    """The units of an answer of ``systemctl show``: blocks of ``Name=value``."""
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        facts = {name: value for name, _, value in pairs}
        if facts.get("Id") and facts.get("LoadState", "loaded") == "loaded":
            restarts = facts.get("NRestarts", "")
            yield Unit(
                facts["Id"],
                facts.get("ActiveState", ""),
                facts.get("SubState", ""),
                facts.get("Result", ""),
                facts.get("UnitFileState", ""),
                int(restarts) if restarts.isdigit() else 0,
            )


def units(seen: Sequence[Unit]) -> Iterator[Finding]:
    """How they are; one line for those that are well."""
    well = []
    for each in seen:
        if each.active == "failed" or each.sub == "auto-restart":
            state = "failed" if each.active == "failed" else "ends again and again"
            why = f" ({each.result})" if each.result not in ("", "success") else ""
            log = f"journalctl -u {each.name} -n 50"
            yield fail("systemd", f"{each.name} {state}{why}", f"see why: {log}")
        elif each.active in ("active", "activating", "reloading"):
            well.append(each.name)
        elif each.enabled == "enabled":
            remedy = f"sudo systemctl start {each.name}"
            yield warn("systemd", f"{each.name} is {each.active or 'not active'}", remedy)
    if well:
        yield ok("systemd", f"active: {', '.join(well)}")
