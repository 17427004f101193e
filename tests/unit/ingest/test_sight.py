"""The feed is blind while any timeframe is overdue, until all were well for a while."""

from services.ingest.sight import (
    STEADY_BY_REST_S,
    STEADY_S,
    End,
    Lapse,
    Refilled,
    Sight,
    blind_sentence,
    overdue,
    recovered_sentence,
    worst,
)

T = 1_762_094_100_000  # a multiple of five minutes
MINUTE = 60_000
LIMIT_MS = 60_000


def ends(one: int | None = T, five: int | None = T, **end: float) -> dict[str, End]:
    idle_s, lag_ms = end.get("idle_s", 1e9), end.get("lag_ms")
    lag = None if lag_ms is None else int(lag_ms)
    return {
        "1m": End(MINUTE, one, idle_s, lag),
        "5m": End(5 * MINUTE, five, idle_s, lag),
    }


def names(lapses: list[Lapse]) -> list[str]:
    return [lapse.timeframe for lapse in lapses]


def test_a_timeframe_is_overdue_after_the_limit_and_not_before() -> None:
    assert overdue(ends(), T + MINUTE + LIMIT_MS, LIMIT_MS) == []
    assert overdue(ends(), T + MINUTE + LIMIT_MS + 1, LIMIT_MS) == [Lapse("1m", T, T + MINUTE)]
    assert names(overdue(ends(), T + 7 * MINUTE, LIMIT_MS)) == ["1m", "5m"]
    assert names(overdue(ends(one=T + 6 * MINUTE), T + 7 * MINUTE, LIMIT_MS)) == ["5m"]


def test_an_empty_stream_and_an_unknown_time_are_not_overdue() -> None:
    assert overdue(ends(None, None), T + 10**9, LIMIT_MS) == []
    assert overdue(ends(), None, LIMIT_MS) == []


def test_a_stream_that_is_being_filled_is_not_overdue_until_it_stands_still() -> None:
    late = 3_600_000.0
    assert overdue(ends(lag_ms=late, idle_s=0.2), T + 10**8, LIMIT_MS) == []
    assert len(overdue(ends(lag_ms=late, idle_s=61), T + 10**8, LIMIT_MS)) == 2
    assert len(overdue(ends(lag_ms=20, idle_s=0.2), T + 10**8, LIMIT_MS)) == 2


def test_the_most_overdue_timeframe_speaks_for_all() -> None:
    five, one = Lapse("5m", T, T + 5 * MINUTE), Lapse("1m", T + MINUTE, T + 2 * MINUTE)
    assert worst([five, one]) == one


def look(sight: Sight, now_s: float, *, well: bool, by_socket: bool = True) -> float | None:
    sight.looked(well=well, now_s=now_s, exchange_ms=T + now_s * 1000)
    return sight.recovered_ms(now_s, by_socket=by_socket)


def test_it_sees_again_when_all_was_well_for_a_while_from_the_first_such_moment_on() -> None:
    sight = Sight()
    assert look(sight, 0, well=False) is None
    assert look(sight, 1, well=True) is None
    assert look(sight, 1 + STEADY_S, well=True) == T + 1000


def test_rest_alone_has_to_bring_the_next_candle_first() -> None:
    sight = Sight()
    look(sight, 0, well=True, by_socket=False)
    assert look(sight, 60, well=True, by_socket=False) is None
    assert look(sight, STEADY_BY_REST_S, well=True, by_socket=False) == T


def test_a_relapse_begins_the_while_anew() -> None:
    sight = Sight()
    look(sight, 0, well=True)
    look(sight, 1, well=False)
    assert look(sight, 2, well=True) is None
    assert look(sight, 3.9, well=True) is None
    assert look(sight, 2 + STEADY_S, well=True) == T + 2000


def test_the_sentences() -> None:
    assert blind_sentence("BTC/USDT", "2026-01-01 00:01:00 UTC", "1m") == (
        "BTC/USDT feed BLIND since 2026-01-01 00:01:00 UTC: no 1m candle after that"
    )
    failure = "has not answered since 2026-01-01 00:01:03 UTC: https://one cannot be reached"
    assert blind_sentence("BTC/USDT", "2026-01-01 00:01:00 UTC", "1m", failure) == (
        "BTC/USDT feed BLIND since 2026-01-01 00:01:00 UTC: no 1m candle after that;"
        " REST has not answered since 2026-01-01 00:01:03 UTC: https://one cannot be reached"
    )
    refilled = [Refilled("1m", 600, 598, 2), Refilled("5m", 120, 120, 0), Refilled("1h", 10, 10, 0)]
    assert recovered_sentence("BTC/USDT", 36_030_000, refilled) == (
        "BTC/USDT feed RECOVERED after 10h 0m: 730 candles refilled (600 1m, 120 5m, 10 1h),"
        " 728 by REST, 2 missing"
    )
    assert recovered_sentence("BTC/USDT", 150_000, [Refilled("1m", 1, 0, 0)]) == (
        "BTC/USDT feed RECOVERED after 2m 30s: 1 candle refilled (1 1m), 0 by REST"
    )
    assert recovered_sentence("BTC/USDT", 0, [Refilled("1m", 0, 0, 0)]) == (
        "BTC/USDT feed RECOVERED after 0.0s: 0 candles refilled, 0 by REST"
    )
