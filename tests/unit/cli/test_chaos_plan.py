"""What a seed lets a chaos run meet."""

from itertools import product

import pytest

from cli.chaos_plan import plan
from sim.schedule import HOUR_MS, KINDS, OPERATOR_KINDS, SERVICES

START = 1_571_184_000_000
WEEK = 168 * HOUR_MS


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("paced", [False, True])
def test_a_week_has_every_kind_and_every_hour_a_fault(seed: int, paced: bool) -> None:
    faults = plan(seed, START, START + WEEK, paced=paced)
    names = {fault.name for fault in faults}
    left_out = {"maintenance"} if paced else {"maintenance", "skew"}
    assert names == (set(KINDS) | set(OPERATOR_KINDS)) - left_out
    assert {(fault.at_ms - START) // HOUR_MS for fault in faults} == set(range(168))
    assert [fault.at_ms for fault in faults] == sorted(fault.at_ms for fault in faults)
    assert faults == plan(seed, START, START + WEEK, paced=paced)


@pytest.mark.parametrize("seed", range(20))
def test_redis_is_emptied_once_and_before_that_no_notifier_ends_or_gets_a_twin(seed: int) -> None:
    faults = plan(seed, START, START + WEEK, paced=False)
    (flush,) = (n for n, fault in enumerate(faults) if fault.name == "server_flush")
    assert 0.05 * WEEK < faults[flush].at_ms - START < 0.35 * WEEK
    for fault in faults[:flush]:
        if fault.name in {"kill", "terminate", "twin"}:
            assert fault.arguments["service"] != "notifier"


def test_every_service_meets_every_fault_of_its_own() -> None:
    faults = plan(1, START, START + 10 * WEEK, paced=False)
    met = {(f.name, f.arguments["service"]) for f in faults if "service" in f.arguments}
    assert met == set(product(("kill", "terminate", "freeze", "twin"), SERVICES))
