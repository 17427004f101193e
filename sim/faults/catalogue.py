"""The faults by name, and how often each was caused."""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class UnknownFault(ValueError):
    """There is no such fault, or its arguments do not fit."""


class Counting(Protocol):
    """Whoever counts its faults by name."""

    caused: Counter[str]


P = ParamSpec("P")
S = TypeVar("S", bound=Counting)

FAULTS: dict[str, Callable[..., None]] = {}


def fault(
    name: str | None = None,
) -> Callable[[Callable[Concatenate[S, P], None]], Callable[Concatenate[S, P], None]]:
    """Enter a method in ``FAULTS`` and count how often it was used; ending one does not count."""

    def enter(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
        known_as = name or method.__name__

        def counted(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            method(self, *args, **kwargs)
            if kwargs.get("on", True):
                self.caused[known_as] += 1

        update_wrapper(counted, method)
        FAULTS[known_as] = counted
        return counted

    return enter


def check_fault(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ``UnknownFault`` unless there is such a fault that takes such arguments."""
    if name not in FAULTS:
        raise UnknownFault(f"no fault is called {name!r}; there are {', '.join(sorted(FAULTS))}")
    try:
        inspect.signature(FAULTS[name]).bind(None, **arguments)
    except TypeError as error:
        raise UnknownFault(f"{name}: {error}") from None
