"""What ``status`` knows, as JSON. Pure."""

from dataclasses import asdict
from typing import Any

from cli.status.facts import Facts
from cli.status.verdict import Verdict


def document(facts: Facts, verdict: Verdict) -> dict[str, Any]:
    """All of it as JSON types."""
    found = asdict(facts)
    found["redis"]["reachable"] = True
    del found["here"]  # the problems say what follows from it
    return {**_judged(verdict), **found}


def unreachable_document(at_ms: int, symbol: str, url: str, verdict: Verdict) -> dict[str, Any]:
    """The same names where Redis does not answer, so that nothing else is known."""
    nothing: dict[str, Any] = {
        name: []
        for name in ("services", "candles", "readers", "boards", "channels", "troubles")
    }  # fmt: skip
    return {
        **_judged(verdict),
        "at_ms": at_ms,
        "symbol": symbol,
        "redis": {"url": url, "reachable": False},
        **nothing,
        "streams": {},
        "last_signal": None,
        "muted": "",
    }


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {
        "healthy": verdict.healthy,
        "problems": [asdict(problem) for problem in verdict.problems],
        "remarks": list(verdict.remarks),
    }
