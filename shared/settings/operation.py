"""The sections ``health`` and ``logging``."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from shared.settings.fields.numbers import Seconds
from shared.settings.fields.texts import Line
from shared.settings.fields.urls import PingUrl
from shared.settings.section import Section


class Health(Section):
    """Heartbeats of the services."""

    interval_seconds: Seconds = Field(default=2.0, description="Seconds between heartbeats.")
    ttl_seconds: Seconds = Field(
        default=30.0,
        description="Seconds after which a silent service is forgotten; "
        "more than interval_seconds.",
    )
    ping_url: PingUrl = Field(
        default=SecretStr(""),
        description="URL that is fetched every minute while all is well, for a service that calls "
        "you when that ends; empty = none.",
    )


def _level(text: object) -> object:
    return text.strip().upper() if isinstance(text, str) else text


class Logging(Section):
    """Console and file."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)
    ] = Field(default="INFO", description="Least level that is logged.")
    file: Line = Field(
        default="logs/scanner.log",
        description="Log file; each service adds its name (logs/scanner-ingest.log). "
        "Empty = console only.",
    )
    rotation: Literal["daily", "hourly", "none"] = Field(
        default="daily", description="When a new file is begun, in UTC: daily, hourly or none."
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=7, description="Days for which old log files are kept."
    )
