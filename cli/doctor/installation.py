"""What all checks share: the configuration as far as it can be used, and where Redis is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.embedded_redis import running_url
from cli.up_command import redis_directory
from shared.config_errors import key_of
from shared.configuration import Examined, examine
from shared.log import Line
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation of the scanner.

    Attributes:
        data: Where a Redis of our own keeps its data.
        redis_url: Where Redis is; None where it would be our own and does not run.
        clean: Takes secrets and control characters out of a line.
    """

    examined: Examined
    data: Path
    redis_url: str | None
    clean: Callable[[str], str]

    @property
    def settings(self) -> Settings:
        """What applies, with defaults in place of what is wrong."""
        return self.examined.settings

    def unknown(self, section: str, *keys: str) -> str:
        """Why a check cannot rely on these keys (of a whole section: none given); "" if it can."""
        examined = self.examined
        paths = {key_of(fault.path) for fault in examined.faults}
        named = [f"{section}.{key}" for key in keys]
        wrong = {each for each in paths if each == section or each in named}
        if not keys:
            wrong |= {each for each in paths if each.startswith(f"{section}.")}
        if wrong:
            return f"{min(wrong)} is wrong in the configuration"
        if not examined.readable and not any(each in examined.origins for each in named):
            return "the configuration cannot be read"
        return ""


def installation(config: Path | None) -> Installation:
    """The installation that ``config``, or what is found without it, describes."""
    examined = examine(config)
    settings = examined.settings
    data = redis_directory(examined.path)
    url = running_url(data) if settings.redis.embedded else settings.redis.effective_url
    return Installation(examined, data, url, Line("doctor", settings.secrets()).clean)
