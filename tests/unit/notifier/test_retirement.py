"""Which consumers are dead."""

import pytest

from services.notifier.retirement import UNHEARD_MS, Seen, retired

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("seen", "dead"),
    [
        pytest.param(Seen(b"host-2", 0, DAY_MS), True, id="a day of silence"),
        pytest.param(Seen(b"host-2", 0, DAY_MS - 1), False, id="less than a day"),
        pytest.param(Seen(b"host-2", 1, 9 * DAY_MS), False, id="holds an entry"),
        pytest.param(Seen(b"host-1", 0, 9 * DAY_MS), False, id="ourselves"),
        pytest.param(Seen(b"replay", 0, DAY_MS), True, id="what holds replays"),
        pytest.param(Seen(b"replay", 1, DAY_MS), False, id="what holds a replay"),
    ],
)
def test_only_who_holds_nothing_and_was_not_heard_of_for_a_day_is_dead(
    seen: Seen, dead: bool
) -> None:
    assert retired([seen], ours="host-1") == ([seen.name] if dead else [])


def test_a_day_is_the_rule() -> None:
    assert UNHEARD_MS == DAY_MS
