"""What the configuration amounts to. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.doctor.report import Finding, fail, ok, warn

_NO_FILE = "no configuration file: the defaults and the environment apply"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the configuration, in words."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that an enabled channel needs.

    Attributes:
        key: As ``section.key``.
        present: Whether it is set; its fault, if not, is one of the configuration.
        example: Whether it is still that of config.example.json.
        origin: Where it is from: a variable, a secret file, or the configuration.
    """

    key: str
    present: bool
    example: bool
    origin: str


@dataclass(frozen=True, slots=True)
class File:
    """The file itself.

    Attributes:
        shown: The path as a shell takes it.
        mode: Permission bits, without those that private folders above it make void; None where
            they are not known.
    """

    path: str
    shown: str
    mode: int | None
    in_file: Sequence[str]


def validity(file: File | None, faults: Sequence[Fault]) -> Iterator[Finding]:
    """Whether it was found, and every fault."""
    if not faults:
        yield ok("configuration", f"{file.path} is right" if file else _NO_FILE)
    for fault in faults:
        remedy = fault.remedy or "correct it; docs/configuration.md has all keys"
        yield fail("configuration", fault.what, remedy)


def permissions(file: File) -> Iterator[Finding]:
    """Whether others can read secrets in it."""
    if file.mode is None or not file.in_file:
        return
    held = " and ".join(file.in_file)
    who = "other users" if file.mode & 0o007 else "other users of its group"
    what = f"{file.path} holds {held}, and {who} can read it (mode {file.mode:03o})"
    if file.mode & 0o077:
        level = fail if file.mode & 0o007 else warn
        yield level("permissions", what, f"type: chmod 600 {file.shown}")
    else:
        yield ok("permissions", f"only its owner can read {file.path}, which holds {held}")


def secrets(needed: Sequence[Secret], variables: Mapping[str, str]) -> Iterator[Finding]:
    """Whether those that are needed are there; ``variables`` are their names in the environment."""
    for each in needed:
        if not each.present or each.example:
            state = "still that of config.example.json" if each.example else "missing"
            remedy = (
                f"set the environment variable {variables[each.key]}, or {each.key} in the file"
            )
            yield fail("secrets", f"{each.key} is {state}", remedy)
    there = [f"{each.key} ({each.origin})" for each in needed if each.present and not each.example]
    if there:
        yield ok("secrets", f"set: {', '.join(there)}")


def alerts(channels: Sequence[str]) -> Iterator[Finding]:
    """Whether anybody is alerted."""
    if "console" in channels:
        yield warn(
            "alerts",
            "neither email nor Telegram is set up: alerts go to the console",
            "fill in the section smtp, or set telegram.enabled",
        )
