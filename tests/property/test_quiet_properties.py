"""Quiet hours in any zone and year: inside is inside, and the ends are where it changes."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.quiet import quiet_hours
from shared.local_time import quiet_minutes

# With summer time at midnight, by half an hour, on the southern half, skipping a whole day, …
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo", "Asia/Beirut",
    "Antarctica/Troll", "Pacific/Chatham",
]  # fmt: skip

minute = st.integers(0, 1439)
spans = st.lists(
    st.tuples(minute, minute).filter(lambda span: span[0] != span[1]), min_size=1, max_size=3
)
times = st.integers(315_532_800_000, 4_000_000_000_000)


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[str, int]:
    """A zone, and a time that is likely to be around a change of its clock."""
    name, year = draw(st.sampled_from(ZONES)), draw(st.integers(1990, 2037))
    zone, at = ZoneInfo(name), datetime(year, 1, 1, tzinfo=ZoneInfo("UTC"))
    offsets = [
        (at + timedelta(days=day), (at + timedelta(days=day)).astimezone(zone).utcoffset())
        for day in range(366)
    ]
    changes = [one for (one, before), (_, after) in pairwise(offsets) if before != after]
    day = draw(st.sampled_from(changes)) if changes else at
    return name, round(day.timestamp() * 1000) + draw(st.integers(-86_400_000, 2 * 86_400_000))


def wall_minute(at_ms: int, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(at_ms // 1000, zone)
    return wall.hour * 60 + wall.minute


@settings(max_examples=150)
@given(st.one_of(near_a_change(), st.tuples(st.sampled_from(ZONES), times)), spans)
def test_it_is_quiet_exactly_while_the_clock_on_the_wall_says_so(
    where: tuple[str, int], chosen: list[tuple[int, int]]
) -> None:
    zone, now_ms = ZoneInfo(where[0]), where[1]
    minutes = quiet_minutes(chosen)
    inside = any(
        begin <= wall_minute(now_ms, zone) < end
        if begin < end
        else not end <= wall_minute(now_ms, zone) < begin
        for begin, end in chosen
    )
    found = quiet_hours(minutes, zone, now_ms)
    assert (found is not None) == inside
    if found is None or len(minutes) == 1440:
        return
    assert found.until_ms is not None
    assert found.since_ms <= now_ms < found.until_ms
    assert quiet_hours(minutes, zone, found.until_ms) is None
    assert quiet_hours(minutes, zone, found.since_ms - 1) is None
    # The same from everywhere within, so that nobody sees another end.
    for at_ms in (found.since_ms, found.until_ms - 1, (found.since_ms + found.until_ms) // 2):
        assert quiet_hours(minutes, zone, at_ms) == found
