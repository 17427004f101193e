"""REST is said not to answer when no host does, since the first failure."""

from services.ingest.reach import Reach

T = 1_762_094_100_000


def test_before_anything_was_asked_nothing_is_said() -> None:
    assert Reach(1).state == ""
    assert Reach(1).failure == ""


def test_one_host_of_several_that_fails_is_no_news() -> None:
    reach = Reach(2)
    reach.answered("https://one")
    reach.failed("https://one answered HTTP 503: busy", T)
    assert reach.state == "answered by https://one"
    assert reach.failure == ""
    reach.answered("https://two")
    reach.failed("https://two answered HTTP 503: busy", T)
    assert reach.state == "answered by https://two"


def test_when_all_fail_the_first_failure_and_the_last_reason_are_told() -> None:
    reach = Reach(2)
    for seconds, host in enumerate(("one", "two", "one")):
        reach.failed(f"https://{host} cannot be reached (refused)", T + seconds * 1000)
    since = "has not answered since 2025-11-02 14:35:00 UTC"
    assert reach.state == f"{since}: https://one cannot be reached (refused)"
    assert reach.failure == reach.state
    reach.answered("https://two")
    assert reach.state == "answered by https://two"
    assert reach.failure == ""
