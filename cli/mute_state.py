"""Whether signals are muted, in words, from what Redis answered; somebody may have edited that."""

from services.notifier.mute import QuietHours
from services.notifier.quiet import MORE, SINCE, read_mute
from shared.settings import Settings


def muted_words(
    text: object, left_ms: object, held: object, settings: Settings, now_ms: int
) -> str:
    """``MUTED until …``, and what waits for the digest; empty while signals are sent.

    Args:
        text: What ``GET`` answers to the key of the mute.
        left_ms: What ``PTTL`` does.
        held: What ``HGETALL`` answers to the hash of muted signals.
    """
    ends = []
    if isinstance(text, bytes) and isinstance(left_ms, int):
        muted = read_mute(text, left_ms, now_ms)
        if muted is not None:
            ends.append(f"MUTED {muted.until}")
    hours = QuietHours(settings).at(now_ms)
    if hours is not None:
        ends.append(f"MUTED {hours.until} by notifier.quiet_hours")
    if not ends:
        return ""
    count = waiting(held)
    return f"{'; '.join(ends)}; {count} signal{'' if count == 1 else 's'} for the digest"


def waiting(held: object) -> int:
    """How many signals the hash of muted ones holds."""
    if not isinstance(held, dict):
        return 0
    more: bytes = held.get(MORE.encode(), b"")
    own = len(held.keys() - {SINCE.encode(), MORE.encode()})
    return own + (int(more) if more.isdigit() and len(more) < 10 else 0)
