"""A stream is mute only beside others that speak, and replacing for it becomes rarer."""

from services.ingest.watch import FIRST_PAUSE_S, LAST_PAUSE_S, MutePauses, Watch


def watch(*names: str) -> Watch:
    return Watch(names, 30.0, 0.0)


def speak(watch: Watch, name: str, from_s: int, to_s: int) -> None:
    for now_s in range(from_s, to_s + 1, 2):
        watch.heard(name, float(now_s))


def test_a_stream_that_says_nothing_beside_others_is_mute_after_the_silence() -> None:
    both = watch("1m", "5m")
    speak(both, "1m", 2, 30)
    assert both.mute() == ""
    both.heard("1m", 32.0)
    assert both.mute() == "5m"


def test_of_two_mute_streams_the_longer_silent_one_is_named() -> None:
    three = watch("1m", "5m", "1h")
    three.heard("1h", 2.0)
    speak(three, "1m", 4, 60)
    assert three.mute() == "5m"


def test_a_stream_that_speaks_again_is_not_mute() -> None:
    both = watch("1m", "5m")
    speak(both, "1m", 2, 40)
    both.heard("5m", 41.0)
    assert both.mute() == ""


def test_the_time_in_which_nobody_speaks_does_not_count() -> None:
    both = watch("1m", "5m")
    speak(both, "1m", 2, 10)
    both.heard("1m", 36_010.0)  # suspended for ten hours
    speak(both, "1m", 36_012, 36_030)
    assert both.mute() == ""
    both.heard("5m", 36_031.0)
    assert both.mute() == ""


def test_one_stream_alone_is_never_mute() -> None:
    one = watch("1m")
    one.heard("1m", 1000.0)
    assert one.mute() == ""


def test_the_first_replacement_is_due_at_once_and_the_next_ones_later_and_later() -> None:
    pauses, now_s, waits = MutePauses(), 1000.0, []
    for _ in range(10):
        left_s = max(0.0, pauses.left_s(now_s))
        waits.append(left_s)
        now_s += left_s
        pauses.replaced(now_s)
    assert waits[:4] == [0.0, FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert waits[-1] == LAST_PAUSE_S


def test_a_stream_that_was_well_for_long_is_replaced_as_if_for_the_first_time() -> None:
    pauses = MutePauses()
    for now_s in (0.0, 60.0, 180.0):
        pauses.replaced(now_s)
    later_s = 180.0 + 3 * LAST_PAUSE_S
    assert pauses.left_s(later_s) < 0
    pauses.replaced(later_s)
    assert pauses.left_s(later_s) == FIRST_PAUSE_S
