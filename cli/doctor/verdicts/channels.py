"""What the answers of mail servers and of Telegram mean for an installation. Pure."""

from cli.doctor.report import Finding, fail, split, warn
from services.notifier.channels import TryAgain, Undelivered


def told(check: str, error: Undelivered, remedy: str, *, passing: bool = False) -> Finding:
    """One line for an answer, in the notifier's own words.

    Args:
        check: What was looked at.
        error: The answer.
        remedy: For answers that name none.
        passing: Whether what may work later is no more than a warning.
    """
    what, own = split(error.reason)
    level = warn if passing and isinstance(error, TryAgain) else fail
    return level(check, what, own or remedy)
