"""The section ``notifier``."""

from typing import Annotated

from pydantic import Field

from shared.settings.fields.numbers import Seconds
from shared.settings.fields.times import Spans, Zone
from shared.settings.section import Section


class Notifier(Section):
    """How deliveries are tried again."""

    events: bool = Field(
        default=True,
        description="Whether messages about the scanner itself (feed blind, service down, …) are "
        "sent; they are recorded either way.",
    )
    late_after_seconds: Seconds = Field(
        default=60.0, description="Seconds of age from which an alert is marked LATE."
    )
    claim_idle_seconds: Seconds = Field(
        default=60.0,
        description="Seconds after which an alert held by a dead process is taken over; more "
        "than the channels' timeout_seconds.",
    )
    retry_base_seconds: Seconds = Field(
        default=1.0, description="Seconds before the first retry; doubled for each further one."
    )
    retry_max_seconds: Seconds = Field(
        default=30.0,
        description="Longest pause between retries, in seconds; a broken channel is probed so "
        "often.",
    )
    give_up_after_hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        default=24.0,
        description="Hours of age from which an alert is not tried again, but becomes a dead "
        "letter; less than ledger_ttl_hours.",
    )
    ledger_ttl_hours: Annotated[float, Field(gt=0, le=87_600)] = Field(
        default=168.0, description="Hours for which a delivery is remembered."
    )
    quiet_hours: Spans = Field(
        default=(),
        description="Times of each day in which signals are recorded and not sent, like "
        "22:00-07:00; one, or a list of them.",
        examples=["22:00-07:00"],
    )
    quiet_timezone: Zone = Field(
        default="UTC", description="Time zone of quiet_hours by its IANA name, like Europe/Berlin."
    )
