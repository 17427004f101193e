"""The account of a soak: what is lost, which repeats are permitted, order, growth."""

from soak.account import (
    Accepted,
    Sample,
    changed_ids,
    growth_of_lives,
    growth_of_run,
    lost,
    order,
    repeats,
)

WHO = ("email", "a@example.org")


def mail(number: int, at: int, fault: str = "", message_id: str = "<1>") -> Accepted:
    return Accepted(*WHO, number, at, 1, fault, message_id)


def test_what_nobody_accepted_is_lost_for_each_recipient() -> None:
    both = [WHO, ("email", "b@example.org")]
    assert lost(2, both, [mail(0, 1), mail(1, 2)]) == [
        ("email", "b@example.org", 0),
        ("email", "b@example.org", 1),
    ]


def test_a_repeat_after_an_acceptance_that_was_told_is_forbidden() -> None:
    again = mail(0, 2)
    found = repeats([again, mail(0, 1), mail(1, 3)], ())
    assert found.forbidden == (again,)
    assert (found.untold, found.killed) == (0, 0)


def test_a_repeat_after_a_withheld_answer_is_permitted() -> None:
    found = repeats([mail(0, 1, "drop accepted"), mail(0, 2)], ())
    assert (found.untold, found.killed, found.forbidden) == (1, 0, ())


def test_a_repeat_after_a_kill_before_the_record_is_permitted_once() -> None:
    first, second, third = mail(0, 1), mail(0, 2), mail(0, 3)
    found = repeats([first, second, third], {first})
    assert (found.untold, found.killed, found.forbidden) == (0, 1, (third,))


def test_one_acceptance_that_was_told_forbids_whatever_excuse_the_others_have() -> None:
    told, withheld, again = mail(0, 1), mail(0, 2, "reset accepted"), mail(0, 3)
    assert repeats([told, withheld, again], ()).forbidden == (withheld, again)


def test_a_repeat_is_permitted_where_the_machine_stood_still() -> None:
    both = [mail(0, 10), mail(0, 20)]
    assert repeats(both, (), [(5, 15)]).stalled == 1
    assert repeats(both, (), [(11, 30)]).forbidden == (both[1],)


def test_what_another_recipient_got_is_no_repeat() -> None:
    other = Accepted("email", "b@example.org", 0, 2, 1)
    assert repeats([mail(0, 1), other], ()).forbidden == ()


def test_a_repeated_mail_must_keep_its_message_id() -> None:
    assert changed_ids([mail(0, 1), mail(0, 2)]) == 0
    assert changed_ids([mail(0, 1), mail(0, 2, message_id="<2>")]) == 1


def test_order_counts_what_follows_and_how_far_the_rest_is_away() -> None:
    assert order({0: 1, 1: 2, 2: 3}, ()).share == 1.0
    late = order({0: 9, 1: 1, 2: 2, 3: 3}, ())
    assert (late.in_order, late.count, late.farthest) == (3, 4, 3)
    without = order({0: 9, 1: 1, 2: 2, 3: 3}, {0})
    assert (without.share, without.farthest) == (1.0, 0)


def samples(life: int, values: list[int]) -> list[Sample]:
    return [Sample(life, float(age), float(age), value) for age, value in enumerate(values)]


def test_growth_is_the_last_quarter_by_the_first_after_the_warm_up() -> None:
    flat, growing = samples(1, [9, 5, 5, 5, 5]), samples(2, [1, 5, 6, 8, 10])
    assert growth_of_lives(flat + growing, warm_s=1, least_s=3) == [1.0, 2.0]
    assert growth_of_lives(flat, warm_s=1, least_s=4) == []


def test_growth_over_the_run_compares_lives_of_the_same_age() -> None:
    lives = [sample for life in range(8) for sample in samples(life, [1, 10 + life, 99])]
    assert growth_of_run(lives, warm_s=1) == (8, 16.5 / 10.5)
    assert growth_of_run(lives, warm_s=5) == (0, 1.0)
