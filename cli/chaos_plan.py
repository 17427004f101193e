"""Which faults a chaos run meets, and when; pure.

Everything that can go wrong is drawn from the seed, at least one fault for each hour of the market.
Left out is what would change the question: a maintenance changes which candles there are, and a
clock that follows its clients cannot be skewed.
"""

import random

from sim.schedule import KINDS, OPERATOR_KINDS, Fault, draw

# Emptying Redis takes the delivery ledger with it. Until all is there again, only the notifier that
# delivered knows what it delivered: so it happens once, early, and no notifier ends before that.
_FLUSH_FROM, _FLUSH_TO = 0.1, 0.3
_KNOWS_THE_DELIVERIES = "notifier"
_ENDS_OR_DOUBLES = frozenset(("kill", "terminate", "twin"))


def plan(seed: int, start_ms: int, end_ms: int, *, paced: bool) -> list[Fault]:
    """The faults of one run in order of market time.

    Args:
        seed: The same one gives the same faults.
        start_ms: Of the market.
        end_ms: Of the market.
        paced: Whether the market's clock has a pace of its own.
    """
    left_out = {"server_flush", "maintenance"} | (set() if paced else {"skew"})
    kinds = (set(KINDS) | set(OPERATOR_KINDS)) - left_out
    drawn = draw(seed, start_ms, end_ms, kinds=kinds)
    share = _FLUSH_FROM + random.Random(seed).random() * (_FLUSH_TO - _FLUSH_FROM)
    flush_ms = start_ms + round(share * (end_ms - start_ms))
    before = [_sparing_the_notifier(fault) for fault in drawn if fault.at_ms < flush_ms]
    after = [fault for fault in drawn if fault.at_ms >= flush_ms]
    return [*before, Fault(flush_ms, "server_flush", {}), *after]


def _sparing_the_notifier(fault: Fault) -> Fault:
    at = fault.arguments.get("service")
    if fault.name in _ENDS_OR_DOUBLES and at == _KNOWS_THE_DELIVERIES:
        return Fault(fault.at_ms, fault.name, fault.arguments | {"service": "detector"})
    return fault
