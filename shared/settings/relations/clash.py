"""What is told of keys that do not go together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clash:
    """Keys that are right by themselves and wrong together; reported at the first."""

    paths: tuple[str, ...]
    what: str
    remedy: str
    near: str = ""
