"""Timeframes, spans of the day and time zones."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from shared import timeframe
from shared.config_errors import Wrong
from shared.local_time import span_of, zone_of
from shared.settings.fields.texts import distinct, many, one_or_many


def _known_timeframe(name: str) -> str:
    if name not in timeframe.INTERVALS_MS:
        raise Wrong(
            "is not a timeframe",
            f"use one of {' '.join(timeframe.NAMES)}",
            timeframe.nearest(name) or "",
        )
    return name


def _span(text: str) -> str:
    span_of(text)
    return text


def _zone(name: str) -> str:
    zone_of(name)
    return name


Timeframe = Annotated[str, AfterValidator(_known_timeframe)]
Timeframes = Annotated[
    tuple[Timeframe, ...], BeforeValidator(many), AfterValidator(distinct), Field(min_length=1)
]
Zone = Annotated[str, AfterValidator(_zone)]
Spans = Annotated[
    tuple[Annotated[str, AfterValidator(_span)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(distinct),
]
