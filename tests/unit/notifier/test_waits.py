"""How long our own entries have waited by our own clock."""

from services.notifier.decisions import Pending
from services.notifier.waits import Waits


def own(attempts: int, entry_id: bytes = b"1-0") -> Pending:
    return Pending(entry_id, "me", 0, attempts)


def test_an_entry_waits_from_when_it_was_seen_until_it_is_tried_again() -> None:
    waits = Waits("me")
    assert waits.look([own(1)], 10.0) == {b"1-0": 0.0}
    assert waits.look([own(1)], 13.0) == {b"1-0": 3.0}
    assert waits.look([own(2)], 14.0) == {b"1-0": 0.0}


def test_a_turn_that_was_no_attempt_begins_the_waiting_anew() -> None:
    waits = Waits("me")
    waits.look([own(1)], 10.0)
    waits.begin_anew(b"1-0")
    assert waits.look([own(1)], 13.0) == {b"1-0": 0.0}


def test_entries_of_others_and_those_that_are_done_are_not_remembered() -> None:
    waits = Waits("me")
    assert waits.look([own(1), Pending(b"2-0", "other", 0, 1)], 10.0) == {b"1-0": 0.0}
    assert waits.look([own(1, b"3-0")], 11.0) == {b"3-0": 0.0}
    assert waits.look([own(1)], 12.0) == {b"1-0": 0.0}
