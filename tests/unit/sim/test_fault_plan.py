"""Which fault a request meets."""

from dataclasses import dataclass

from sim.bot_faults import BOT_FAULTS, PASSING_BOT_FAULTS
from sim.fault_plan import FaultPlan
from sim.mail_faults import MAIL_FAULTS, PASSING_MAIL_FAULTS


@dataclass(frozen=True)
class Fault:
    name: str
    weight: float = 1.0


A, B = Fault("a"), Fault("b", 0.0)


def anything(_: Fault) -> bool:
    return True


def test_prepared_faults_come_first_then_what_stands() -> None:
    plan: FaultPlan[Fault] = FaultPlan()
    plan.standing = B
    plan.prepare(A, 2)
    assert [plan.take(anything) for _ in range(3)] == [A, A, B]
    plan.clear()
    assert plan.take(anything) is None


def test_a_request_that_cannot_meet_the_next_fault_leaves_it_to_others() -> None:
    plan: FaultPlan[Fault] = FaultPlan()
    plan.prepare(A)
    assert plan.take(lambda fault: fault is not A) is None
    assert len(plan) == 1
    assert plan.take(anything) is A


def test_chance_is_the_same_for_a_seed_and_keeps_to_share_and_weight() -> None:
    drawn = []
    for _ in range(2):
        plan: FaultPlan[Fault] = FaultPlan()
        plan.draw([A, B], seed=5, share=1 / 3)
        drawn.append([plan.take(anything) for _ in range(3000)])
    assert drawn[0] == drawn[1]
    assert 900 < drawn[0].count(A) < 1100
    assert drawn[0].count(B) == 0
    assert drawn[0].count(None) + drawn[0].count(A) == 3000


def test_what_is_drawn_passes_and_every_passing_fault_has_a_chance() -> None:
    for every, drawn in ((MAIL_FAULTS, PASSING_MAIL_FAULTS), (BOT_FAULTS, PASSING_BOT_FAULTS)):
        assert {fault.name for fault in drawn} < every.keys()
        assert all(fault.passes and fault.weight > 0 for fault in drawn)
