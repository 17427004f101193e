"""Without the exchange's time, the streams and what has passed since tell whether it is blind."""

from services.ingest.sight import Lapse
from services.ingest.unreached import Unreached
from shared.candle import Candle

T = 1_762_092_000_000  # a full hour
MINUTE = 60_000
INTERVALS = {"1m": MINUTE, "5m": 5 * MINUTE}
LIMIT_MS = 60_000


class Watched:
    """A process that looks at streams; times are seconds since ``T``, and since its start."""

    def __init__(self, start_s: float, limit_ms: float = LIMIT_MS) -> None:
        self._unreached, self._start_s = Unreached(INTERVALS, limit_ms), start_s
        self.ends: dict[str, Candle | None] = {"1m": None, "5m": None}

    def candle(self, name: str, at_s: float, lag_ms: int = 20) -> None:
        """Let a stream end by the boundary at ``at_s``, received at that time."""
        boundary_ms = T + round(at_s * 1000)
        self.ends[name] = Candle(
            boundary_ms, 2, 3, 1, 2, 5, "ws", lag_ms, received_at_ms=boundary_ms + lag_ms
        )

    def look(
        self, up_s: float, *, clock_off_s: float = 0, exchange_s: float | None = None
    ) -> list[Lapse]:
        now_ms = T + (self._start_s + up_s + clock_off_s) * 1000
        exchange_ms = None if exchange_s is None else T + exchange_s * 1000
        # Steady time begins anywhere.
        return self._unreached.look(self.ends, 777 + up_s, now_ms, exchange_ms)


def names(lapses: list[Lapse]) -> list[str]:
    return [lapse.timeframe for lapse in lapses]


def test_empty_streams_are_blind_since_the_start_after_the_limit_and_not_before() -> None:
    process = Watched(start_s=10)
    assert process.look(0) == []
    assert process.look(60) == []
    assert process.look(60.5) == [Lapse("1m", T + 10_000, T + 10_000)]


def test_however_short_the_limit_is_the_first_answer_has_five_seconds() -> None:
    process = Watched(start_s=10, limit_ms=600)
    assert process.look(0) == []
    assert process.look(5) == []
    assert names(process.look(5.1)) == ["1m"]


def test_empty_streams_are_blind_even_if_the_exchange_answers_without_candles() -> None:
    process = Watched(start_s=10)
    process.look(0)
    assert names(process.look(61, exchange_s=71)) == ["1m"]


def test_a_stream_that_ended_long_ago_is_blind_since_its_end() -> None:
    process = Watched(start_s=7200)
    process.candle("1m", 240)
    process.candle("5m", 0)
    assert process.look(0) == []
    assert process.look(60) == []
    end_1m, end_5m = T + 4 * MINUTE, T
    assert process.look(61) == [
        Lapse("1m", end_1m, end_1m + MINUTE),
        Lapse("5m", end_5m, end_5m + 5 * MINUTE),
    ]


def test_who_was_restarted_beside_fresh_entries_is_not_blind_before_the_next_one_is_overdue() -> (
    None
):
    process = Watched(start_s=320)
    process.candle("1m", 300)
    process.candle("5m", 300)
    for up_s in (0, 61, 99.9):
        assert process.look(up_s) == [], up_s
    assert process.look(100.1) == [Lapse("1m", T + 300_000, T + 360_000)]


def test_while_another_process_feeds_nothing_is_overdue_whatever_our_clock_says() -> None:
    process = Watched(start_s=305)
    process.candle("1m", 300)
    process.candle("5m", 300)
    process.look(0)
    process.candle("1m", 360)
    assert process.look(55) == []
    for minute in range(7, 10):
        process.candle("1m", minute * 60)
        up_s = minute * 60 - 305
        assert process.look(up_s, clock_off_s=86_400) == [], minute
    assert process.look(235 + 119) == []
    assert names(process.look(235 + 121)) == ["1m", "5m"]


def test_a_stream_that_is_left_out_while_another_grows_is_overdue() -> None:
    process = Watched(start_s=305)
    process.candle("1m", 300)
    process.candle("5m", 300)
    process.look(0)
    for minute in range(6, 11):
        process.candle("1m", minute * 60)
        assert process.look(minute * 60 - 305) == [], minute
    process.candle("1m", 661)
    assert process.look(356) == [Lapse("5m", T + 300_000, T + 600_000)]


def test_a_clock_that_is_behind_hides_only_what_passed_before_the_start() -> None:
    process = Watched(start_s=320)
    process.candle("1m", 300)
    assert process.look(0, clock_off_s=-86_400) == []
    assert process.look(119, clock_off_s=-86_400) == []
    assert names(process.look(121, clock_off_s=-86_400)) == ["1m"]


def test_the_time_of_the_exchange_counts_more_than_what_has_passed() -> None:
    process = Watched(start_s=7200)
    process.candle("1m", 300)
    process.look(0)
    assert names(process.look(61)) == ["1m"]
    assert process.look(61, exchange_s=420) == []
    assert names(process.look(61, exchange_s=420.1)) == ["1m"]


def test_what_was_blind_is_overdue_no_more_once_entries_come_again() -> None:
    process = Watched(start_s=7200)
    process.candle("1m", 300)
    process.candle("5m", 300)
    process.look(0)
    assert names(process.look(61)) == ["1m", "5m"]
    process.candle("1m", 7260)
    process.candle("5m", 7200)
    assert process.look(62) == []


def test_empty_streams_that_begin_to_be_filled_are_not_blind_while_they_grow() -> None:
    process = Watched(start_s=7200)
    process.look(0)
    assert names(process.look(61)) == ["1m"]
    for number in range(1, 4):
        process.candle("1m", number * 60, lag_ms=7_200_000)
        assert process.look(61 + number) == [], number
