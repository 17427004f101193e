"""The agenda: what is due when."""

from sim.agenda import NEVER_MS, Agenda


def test_actions_come_in_order_of_time_and_then_of_entry() -> None:
    agenda = Agenda()
    done: list[str] = []
    for at_ms, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        agenda.at(at_ms, lambda name=name: done.append(name))
    times = []
    while agenda.next_ms < NEVER_MS:
        times.append(agenda.next_ms)
        agenda.act()
    assert done == ["a", "b", "c", "d"]
    assert times == [10, 20, 30, 30]


def test_an_action_may_enter_others_and_each_entry_is_told() -> None:
    told: list[int] = []
    agenda = Agenda(lambda: told.append(1))
    agenda.at(10, lambda: agenda.at(5, lambda: None))
    agenda.act()
    assert agenda.next_ms == 5
    assert len(told) == 2
