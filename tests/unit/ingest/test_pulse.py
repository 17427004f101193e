"""A suspend is noticed by a clock that goes on meanwhile, whatever other clocks do."""

from services.ingest.clock import ExchangeClock
from services.ingest.pulse import Pulse
from shared import steady

T = 1_762_094_100_000


async def test_a_jump_of_the_boot_time_alone_is_a_standstill() -> None:
    now_s = 100.0
    pulse = Pulse(lambda: now_s)
    assert not pulse.stood_still_since(now_s)
    now_s += 1.9
    assert not pulse.stood_still_since(100.0)
    now_s += 150.0
    assert pulse.stood_still_since(100.0)
    assert not pulse.stood_still_since(now_s)


def test_a_frame_of_before_the_suspend_is_as_late_as_the_suspend_was_long() -> None:
    clock, boot_s = ExchangeClock(), steady.now_s()
    clock.saw(T - 10_000, boot_s)
    woken_s = boot_s + 150.0
    clock.saw(T + 5, woken_s)  # it was sent ten seconds into the sleep
    assert clock.now_ms(woken_s) == T + 140_000
