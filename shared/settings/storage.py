"""The sections ``redis`` and ``streams``."""

from typing import Annotated

from pydantic import Field, SecretStr

from shared.redis_address import completed
from shared.settings.fields.numbers import Length
from shared.settings.fields.redis_urls import RedisUrl
from shared.settings.fields.texts import File, Secret
from shared.settings.section import Section

EMBEDDED_REDIS_URL = "redis://127.0.0.1:6379/0"


class Redis(Section):
    """Where the streams live."""

    url: RedisUrl = Field(
        default=SecretStr(""),
        description="URL of a server, sentinels or a cluster; empty = the program starts its own.",
    )
    password: Secret = Field(
        default=SecretStr(""),
        description="Password for url, which then holds none; better in REDIS_PASSWORD.",
    )
    ca_file: File = Field(
        default=None,
        description="File with the certificate authorities to trust (PEM), for rediss://; null = "
        "the system's.",
    )

    @property
    def effective_url(self) -> str:
        """The URL to connect to, complete. It may hold a password: never log it."""
        if self.embedded:
            return EMBEDDED_REDIS_URL
        return completed(
            self.url.get_secret_value(),
            self.password.get_secret_value(),
            str(self.ca_file or ""),
        )

    @property
    def embedded(self) -> bool:
        """True where no URL is set, so that the supervisor has to start a server."""
        return not self.url.get_secret_value()


class Streams(Section):
    """How much is kept, in entries per stream."""

    klines_maxlen: Length = Field(
        default=20_000, description="Entries kept per klines stream (one per timeframe)."
    )
    indicators_maxlen: Length = Field(
        default=20_000, description="Entries kept in the indicators stream (all timeframes)."
    )
    signals_maxlen: Length = Field(
        default=10_000, description="Entries kept in the signals stream."
    )
    events_maxlen: Length = Field(default=1000, description="Entries kept in the events stream.")
    dead_maxlen: Length = Field(
        default=10_000, description="Entries kept in each channel's stream of dead letters."
    )
    max_lead: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=10_000,
        description="Minutes of market time that a writer may run ahead of its slowest reader; "
        "less than klines_maxlen.",
    )
