"""The names of the contract, and that one atomic step never touches two cluster slots."""

import re

import pytest
from redis.crc import key_slot

from shared import keys
from shared.times import LATEST_MS, lasting, utc

SYMBOL = "BTCUSDT"
SIGNAL = "BTCUSDT:5m:LONG:1762094100000"
TOGETHER = {
    "append": [keys.klines(SYMBOL, "1m"), keys.progress(SYMBOL), keys.totals(SYMBOL)],
    "commit": [
        keys.indicators(SYMBOL), keys.state(SYMBOL), keys.owner(SYMBOL), keys.progress(SYMBOL),
    ],
    "emit": [keys.SIGNALS, keys.dedup(SYMBOL, "LONG"), keys.cursor(SYMBOL)],
    "roll call": [keys.SERVICES, keys.TROUBLES, keys.EVENTS],
    "mute": [keys.MUTE, keys.QUIET, keys.muted(SIGNAL)],
    "digest": [keys.MUTE, keys.QUIET, keys.EVENTS],
    "ping": [keys.SERVICES, keys.TROUBLES, keys.PING],
    "merge": [keys.klines(SYMBOL, name) for name in ("1m", "5m", "1h")],
    "load": [keys.state(SYMBOL), keys.progress(SYMBOL)],
    "rate": [keys.rate("telegram", scope) for scope in ("all", "chat:a1b2", "group:a1b2")],
    "settle": [
        keys.SIGNALS, keys.EVENTS, keys.dead("email"), keys.deliveries("email"),
        keys.deliveries("email:events"),
        keys.delivered("email", SIGNAL, "a1b2"),
    ],
}  # fmt: skip


def tagged(key: str) -> str:
    """The part of a key that decides its slot, by the rule of the Cluster specification."""
    found = re.search(r"\{([^}]+)\}", key)
    return found[1] if found else key


@pytest.mark.parametrize("step", TOGETHER)
def test_all_keys_of_one_atomic_step_share_one_slot(step: str) -> None:
    assert len({key_slot(key.encode()) for key in TOGETHER[step]}) == 1
    assert len({tagged(key) for key in TOGETHER[step]}) == 1


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHBTC"])
def test_the_data_of_a_market_is_tagged_with_its_name(symbol: str) -> None:
    made = [keys.klines(symbol, "1m"), keys.indicators(symbol), keys.state(symbol)]
    assert {tagged(key) for key in made} == {symbol}


def test_the_names_are_those_of_the_contract() -> None:
    assert keys.klines(SYMBOL, "1m") == "klines:{BTCUSDT}:1m"
    assert keys.indicators(SYMBOL) == "indicators:{BTCUSDT}"
    assert keys.state(SYMBOL) == "state:{BTCUSDT}"
    assert keys.SIGNALS == "signals"
    assert keys.dedup(SYMBOL, "LONG") == "dedup:{signals}:BTCUSDT:LONG"
    assert keys.cursor(SYMBOL) == "cursor:{signals}:BTCUSDT"
    assert keys.dead("email") == "dead:{signals}:email"
    assert keys.EVENTS == "events:{signals}"
    assert keys.health("detector", "1") == "health:detector:1"
    assert keys.delivered("email", SIGNAL, "a1").startswith(f"delivered:{{signals}}:email:{SIGNAL}")


def test_keys_are_found_in_a_command_and_know_their_type() -> None:
    made = [each for step in TOGETHER.values() for each in step]
    made += [keys.market(SYMBOL), keys.board(SYMBOL, "1m"), keys.health("ingest", "host-1")]
    assert keys.named_in(f"EVALSHA 7 {' '.join(made)} email") == list(dict.fromkeys(made))
    assert {keys.type_of(key) for key in made} == {"stream", "hash", "string", "list"}
    assert keys.named_in("GET designals signalsx my:signals progress: mood:{BTCUSDT}") == []
    assert keys.named_in("Command # 1 (XADD signals * a b) of pipeline") == ["signals"]


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (1_762_094_100_000, "2025-11-02 14:35:00 UTC"),
        (1_762_094_100_999, "2025-11-02 14:35:00 UTC"),
        (LATEST_MS, "100000000000000 ms"),  # somebody wrote it: it must not end who shows it
        (2**64 - 1, "18446744073709551616 ms"),
        (-1, "-1 ms"),
    ],
)
def test_times_are_shown_in_utc(time_ms: int, text: str) -> None:
    assert utc(time_ms) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0.0s"),
        (0, "0.0s"),
        (449, "0.4s"),
        (9_949, "9.9s"),
        (9_950, "10s"),
        (45_400, "45s"),
        (59_999, "1m 0s"),
        (250_000, "4m 10s"),
        (3_600_000, "1h 0m"),
        (7_380_999, "2h 3m"),
        (435_600_000, "5d 1h"),
    ],
)
def test_durations_are_shown_in_their_two_largest_units(milliseconds: float, text: str) -> None:
    assert lasting(milliseconds) == text
