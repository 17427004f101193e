"""The atomic emission against a pure model, over random sequences on a real server."""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import SignalsWriter
from shared.trade_signal import Side, Signal, example_signal
from tests.unit.detector.batch import Emission

MINUTE_MS = 60_000
START_MS = 1_762_094_100_000


@dataclass(frozen=True)
class Step:
    """One evaluated entry: how it follows the one before, and the signal it gives, if any."""

    minutes: int
    rank: int
    side: Side | None
    price: float


# Prices on both sides of the threshold of 0.3 %, exactly 0.3 % among them; times on both sides of
# the window of 5 minutes; steps of 0 and −1 minutes are entries that come once more.
prices = st.sampled_from([1000.0, 1001.0, 1002.99, 1003.0, 1003.01, 997.0, 996.99, 1010.0])
steps = st.builds(
    Step,
    minutes=st.sampled_from([-1, 0, 0, 1, 1, 1, 2, 4, 5, 6]),
    rank=st.integers(0, 2),
    side=st.sampled_from([None, Side.LONG, Side.LONG, Side.SHORT]),
    price=prices,
)
windows = st.sampled_from([0, 5 * MINUTE_MS, 7 * MINUTE_MS])


async def judged(
    url: str, sequence: list[tuple[int, int, Signal | None]], emission: Emission
) -> tuple[list[str], list[str], str]:
    """What a real server answers, the identities in its stream, and its cursor."""
    access = RedisAccess(url, name="test")
    client: Redis = access.client
    try:
        await client.flushall()
        writer = SignalsWriter(
            access,
            "BTCUSDT",
            Streams(),
            window_ms=int(emission.window_ms),
            threshold_percent=emission.threshold_percent,
        )
        answers = [
            (await writer.judge(f"{at_ms}-{rank}", signal)).status
            for at_ms, rank, signal in sequence
        ]
        stored = [fields[b"id"].decode() for _, fields in await client.xrange(keys.SIGNALS)]
        cursor = await client.get(keys.cursor("BTCUSDT"))
        return list(answers), stored, cursor.decode()
    finally:
        await access.close()


@effort(max_examples=60)
@given(sequence=st.lists(steps, min_size=1, max_size=40), window_ms=windows)
def test_emission_equals_the_model(
    each_redis_url: str, sequence: list[Step], window_ms: int
) -> None:
    emission, model = (Emission(window_ms=window_ms) for _ in range(2))
    entries: list[tuple[int, int, Signal | None]] = []
    expected: list[str] = []
    emitted: list[str] = []
    cursor = (-1, -1)
    at_ms = START_MS
    for step in sequence:
        at_ms += step.minutes * MINUTE_MS
        signal = None
        if step.side is not None:
            timeframe = ("1h", "5m", "1m")[step.rank]
            signal = example_signal(
                side=step.side, timeframe=timeframe, close_time_ms=at_ms, entry=step.price
            )
        entries.append((at_ms, step.rank, signal))
        if (at_ms, step.rank) <= cursor:
            expected.append("duplicate")
            continue
        cursor = (at_ms, step.rank)
        if signal is None:
            expected.append("advanced")
        elif model.emits(signal):
            expected.append("emitted")
            emitted.append(signal.id)
        else:
            expected.append("suppressed")
    answers, stored, at = asyncio.run(judged(each_redis_url, entries, emission))
    assert answers == expected
    assert stored == emitted
    assert at == f"{cursor[0]}-{cursor[1]}"
