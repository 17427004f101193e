"""Spoils an input a little: in its tree where it has one, in its bytes otherwise. Pure.

The same chance gives the same input, so a finding is named by seed and number.
"""

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from fuzz.forms import Form

# Larger ones only take time: every reader has its own limit for a whole input.
_MOST_BYTES = 50_000
_MOST_STEPS = 4

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 0.5, 59_999, 60_000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63),
    10**13, 10**14, 10**18, 1e-300, 5e-324, 1e30, 1e99, 1.7e308, -1e308, float("inf"), float("nan"),
)  # fmt: skip
TEXTS = (
    "", " ", "0", "-0", "1", "-1", "00", "1e5", "1e400", "1e-400", "nan", "-inf", "Infinity", "1_0",
    "0x10", "\uff11\uff12", "9" * 25, "9" * 400, "0." + "0" * 400 + "1", "1.", ".5", "+1", "1 ",
    "1762094100000", "99999999999999-0", "-5-5", "18446744073709551615-18446744073709551615",
    "null", "true", "None", "[]", "{}", "BTCUSDT", "BTC/USDT", "1m", "1M", "5m", "1h", "LONG",
    "x" * 5000, "\x00", "a\r\nBcc: b@example.com", "\x1b[31m", "\u202eevil", "\u2028", "é€😀",
    "\ud800", "İ", "\x7f", "%s %(x)s {}", "../../etc/passwd", "1e-100000", "0.00000001",
)  # fmt: skip


def mutate(corpus: Sequence[bytes], form: Form, chance: Random) -> bytes:
    """One input: one of ``corpus``, changed in one to four places."""
    raw = chance.choice(corpus)
    for _ in range(chance.randint(1, _MOST_STEPS)):
        if chance.random() < 0.7:
            raw = _in_tree(raw, form, chance)
        else:
            raw = chance.choice(_BYTE_STEPS)(raw, corpus, chance)
    return raw[:_MOST_BYTES]


def _in_tree(raw: bytes, form: Form, chance: Random) -> bytes:
    try:
        tree = copy.deepcopy(form.parse(raw))
        return form.render(_changed(tree, chance))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return raw  # it has no tree any more, or what was made of it cannot be written


# --- trees ------------------------------------------------------------------------------------


def _changed(tree: Any, chance: Random) -> Any:
    """The tree with one place in it changed, any of its places as likely as another."""
    places = list(_places(tree))
    if not places:
        return _other(tree, chance)
    holder, key = chance.choice(places)
    match chance.randrange(6):
        case 0:
            del holder[key]
        case 1:
            _swap(holder, key, *chance.choice(places))
        case 2 if isinstance(holder, dict):
            holder[chance.choice((*TEXTS, *holder))] = holder.pop(key)
        case 2:
            holder.insert(key, copy.deepcopy(holder[key]))
        case _:
            holder[key] = _other(holder[key], chance)
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [tree]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            keys: list[Any] = list(holder)
        elif isinstance(holder, list):
            keys = list(range(len(holder)))
        else:
            continue
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys]
    return found


def _swap(one: Any, key: Any, other: Any, other_key: Any) -> None:
    one[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(one[key])


def _other(value: Any, chance: Random) -> Any:
    """Something in place of ``value``, often of its type."""
    pick = chance.random()
    if pick < 0.35 and isinstance(value, int | float):
        return value + chance.choice((-60_000, -1, 1, 60_000, value, -2 * value))
    if pick < 0.35 and isinstance(value, str) and value:
        return _respelt(value, chance)
    if pick < 0.6:
        return chance.choice(NUMBERS)
    if pick < 0.9:
        return chance.choice(TEXTS)
    return chance.choice((None, True, False, [], {}, [value], {"x": value}, [value] * 40))


def _respelt(text: str, chance: Random) -> str:
    at = chance.randrange(len(text))
    middle = chance.choice(("", text[at] * 2, chance.choice("0123456789-.eE+ \n"), text))
    return text[:at] + middle + text[at + 1 :]


# --- bytes ------------------------------------------------------------------------------------


def _flip(raw: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    if not raw:
        return b"\x00"
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


def _cut(raw: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    first, last = sorted(chance.randint(0, len(raw)) for _ in range(2))
    return raw[:first] + raw[last:] if chance.random() < 0.7 else raw[:first]


def _insert(raw: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = chance.randint(0, len(raw))
    return raw[:at] + chance.randbytes(chance.randint(1, 8)) + raw[at:]


def _repeat(raw: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    first, last = sorted(chance.randint(0, len(raw)) for _ in range(2))
    return raw[:last] + raw[first:last][:2000] * chance.choice((1, 2, 30)) + raw[last:]


def _splice(raw: bytes, corpus: Sequence[bytes], chance: Random) -> bytes:
    other = chance.choice(corpus)
    return raw[: chance.randint(0, len(raw))] + other[chance.randint(0, len(other)) :]


_BYTE_STEPS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _cut, _insert, _repeat, _splice,
)  # fmt: skip
