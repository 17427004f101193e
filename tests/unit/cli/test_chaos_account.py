"""How a chaos run is judged: nothing lost, repeated or invented passes unseen."""

import pytest

from cli.chaos_account import StreamRow, judge_deliveries, judge_signals, judge_stream
from cli.replay_record import Delivery

MINUTE = 60_000
MS = 1_000_000


def stream(*boundaries: int, rest: tuple[int, ...] = (), missing: tuple[int, ...] = ()) -> list:
    return [
        StreamRow(n * MINUTE, "rest" if n in rest or n in missing else "ws", n in missing)
        for n in boundaries
    ]


@pytest.mark.parametrize(
    ("rows", "exist", "wrong"),
    [
        (stream(1, 2, 3), [1, 2, 3], {}),
        (stream(1, 2, 3, missing=(2,)), [1, 3], {"missing": 1}),
        (stream(1, 2, 3, rest=(3,)), [1, 2, 3], {"by_rest": 1}),
        (stream(1, 2, 3, missing=(2,)), [1, 2, 3], {"missing": 1, "wrongly_missing": 1}),
        (stream(1, 2, 3), [1, 3], {"not_marked": 1}),
        (stream(1, 3), [1, 2, 3], {"out_of_order": 1}),
        (stream(1, 2, 2, 3), [1, 2, 3], {"out_of_order": 1}),
        ([], [1], {}),
    ],
)
def test_a_stream_is_judged_by_the_candles_that_exist(
    rows: list[StreamRow], exist: list[int], wrong: dict[str, int]
) -> None:
    told = judge_stream(rows, MINUTE, [n * MINUTE for n in exist])
    assert told.pop("candles") == sum(not row.missing for row in rows)
    assert {name: count for name, count in told.items() if count} == wrong


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (["a,1", "b,2"], {}),
        (["a,1"], {"lost": 1}),
        (["a,1", "b,2", "b,2"], {"repeated": 1}),
        (["a,1", "b,2", "c,3"], {"invented": 1}),
        (["a,1", "b,3"], {"changed": 1}),
    ],
)
def test_signals_are_judged_by_the_undisturbed_run(rows: list[str], wrong: dict[str, int]) -> None:
    told = judge_signals(rows, ["a,1", "b,2"])
    assert {name: count for name, count in told.items() if count} == wrong


def test_a_repeat_is_excused_only_while_nobody_had_recorded_the_first() -> None:
    deliveries = [
        Delivery("email", "a", 1000 * MS, "1"),
        Delivery("email", "a", 2000 * MS, "2"),
        Delivery("email", "b", 1000 * MS, "3"),
        Delivery("email", "b", 2000 * MS, "4"),
        Delivery("telegram", "a", 1000 * MS, "5"),
        Delivery("telegram", "x", 1000 * MS, "6"),
    ]
    recorded = {("email", "a"): 2001, ("email", "b"): 1001, ("telegram", "a"): 1001}
    told = judge_deliveries({"a", "b"}, deliveries, recorded)
    assert told["email"] == {
        "lost": 0,
        "repeated": 2,
        "repeated_before_recorded": 1,
        "repeated_without_excuse": ["b"],
    }
    assert told["telegram"]["lost"] == 1
    # What nobody ever recorded cannot be excused.
    assert judge_deliveries({"a"}, deliveries, {})["email"]["repeated_without_excuse"] == ["a"]
