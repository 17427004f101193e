"""What became of one recipient in one attempt. Pure."""

from dataclasses import dataclass

from services.notifier.channels import Broken, Refused, TryAgain, Undelivered


@dataclass(frozen=True, slots=True)
class Later:
    """A recipient who was not tried: the rate limit wants some time to pass."""

    seconds: float


class NotOurs(TryAgain):
    """A recipient who was not tried: another attempt may be under way."""


Result = Undelivered | Later | None
"""None for a recipient who is done with."""


def was_tried(result: Result) -> bool:
    """Whether it was an attempt, and not only the news that we must wait."""
    asked_to_wait = isinstance(result, TryAgain) and result.after_seconds is not None
    return not (asked_to_wait or isinstance(result, Later | NotOurs))


def then(failure: Undelivered) -> str:
    """What happens next, for the log."""
    if isinstance(failure, Refused):
        return "it becomes a dead letter"
    if isinstance(failure, Broken):
        return "the channel waits for the remedy"
    after = failure.after_seconds if isinstance(failure, TryAgain) else None
    return "it is tried again" if after is None else f"nothing is sent for {after:.0f} s"


def unexpected(error: Exception) -> TryAgain:
    """The failure for an error of any kind.

    Its text stays out of the log: a library's words may hold a secret; type and place do not.
    """
    trace, name = error.__traceback__, type(error).__name__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "?"
    return TryAgain(f"unexpected {name} {where}", f"an error nobody expected, {name} at {where}")
