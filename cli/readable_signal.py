"""Signals as the stream holds them, for whoever shows them."""

from shared.candle import Fields
from shared.malformed import Malformed
from shared.trade_signal import Signal, read_signal


def readable(entry_id: bytes, fields: Fields) -> Signal:
    """A signal that can also be shown.

    Raises:
        Malformed: Somebody edited the stream.
    """
    signal = read_signal(entry_id, fields)
    try:
        str(signal.sentence)  # uses prices, tick size and time, which may be impossible ones
    except (ValueError, ArithmeticError) as error:
        raise Malformed(f"signals entry {entry_id!r}: {error}") from None
    return signal
