"""Whether the exchange can be used from here. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cli.doctor.report import Finding, fail, ok, warn
from services.ingest.skew import skewed_sentence
from shared.market import Market

DATA_REST, DATA_WS = "https://data-api.binance.vision", "wss://data-stream.binance.vision"

Kind = Literal[
    "region", "forbidden", "limited", "status", "foreign", "dns", "certificate", "tls", "timeout",
    "proxy", "network", "silent", "other",
]  # fmt: skip
Way = Literal["REST", "WebSocket"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a host cannot be used.

    Attributes:
        said: A detail in the words of the system, or a number.
    """

    kind: Kind
    said: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """One host, and what came of it: ``ms`` until it answered, or a failure."""

    host: str
    ms: float = 0.0
    failure: Failure | None = None


_MEANS: dict[Kind, str] = {
    "region": "does not serve this region (HTTP 451)",
    "forbidden": "refuses this address (HTTP 403)",
    "limited": "limits or bans this address for a while (HTTP {said})",
    "status": "answers HTTP {said}",
    "foreign": "gives an answer that is not the exchange's",
    "dns": "there is no such name (DNS)",
    "certificate": "shows a certificate that is not trusted ({said})",
    "tls": "does not agree on TLS ({said})",
    "timeout": "does not answer in time",
    "proxy": "cannot be reached through the proxy",
    "network": "cannot be reached ({said})",
    "silent": "accepts the connection and says nothing",
    "other": "cannot be used ({said})",
}
_REMEDIES: dict[Kind, str] = {
    "limited": "wait some minutes, and ask the exchange less from other programs",
    "status": "see the exchange's status page, and check {key}",
    "foreign": "check {key}; a captive portal or a proxy may answer in its place",
    "dns": "check {key}, and the name servers of this machine (/etc/resolv.conf)",
    "certificate": "check the clock of this machine, {key}, and whether a proxy opens TLS",
    "tls": "check {key} (https:// and wss:// need a host that speaks TLS), and any proxy",
    "timeout": "check the network, the firewall and any proxy (HTTPS_PROXY)",
    "proxy": "check HTTPS_PROXY and NO_PROXY",
    "network": "check {key}, the network, the firewall and any proxy (HTTPS_PROXY)",
    "silent": "check {key}; a proxy may let WebSockets in and nothing out",
    "other": "check {key}",
}
# Which of several remedies to give: what is surest first.
_RANK: tuple[Kind, ...] = (
    "region", "forbidden", "certificate", "limited", "proxy", "foreign", "status", "tls", "dns",
    "silent", "timeout", "network", "other",
)  # fmt: skip


def status_failure(status: int) -> Failure:
    """What an HTTP status other than 200 (or 101) means."""
    kinds: dict[int, Kind] = {451: "region", 403: "forbidden", 418: "limited", 429: "limited"}
    return Failure(kinds.get(status, "status"), str(status))


def hosts(way: Way, tried: Sequence[Tried]) -> Finding:
    """One line for all hosts of a kind."""
    failures = [each for each in tried if each.failure]
    good = [each for each in tried if not each.failure]
    if not failures:
        more = f"; so do {len(good) - 1} more" if len(good) > 1 else ""
        return ok(way, f"{good[0].host} answers in {good[0].ms:.0f} ms{more}")
    what = "; ".join(_grouped(failures))
    remedy = _remedy(way, failures)
    if not good:
        return fail(way, what, remedy)
    return warn(way, f"{what}; {good[0].host} answers and is used", remedy)


def _grouped(failures: Sequence[Tried]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for each in failures:
        if each.failure:
            means = _MEANS[each.failure.kind].format(said=each.failure.said)
            reasons.setdefault(means, []).append(each.host)
    for means, names in reasons.items():
        yield f"{', '.join(names)}: {means}"


def _remedy(way: Way, failures: Sequence[Tried]) -> str:
    kinds = {each.failure.kind for each in failures if each.failure}
    kind = min(kinds, key=_RANK.index)
    key = "exchange.rest_hosts" if way == "REST" else "exchange.ws_hosts"
    if kind in ("region", "forbidden"):
        return (
            f'set exchange.rest_hosts to ["{DATA_REST}"] and exchange.ws_hosts to ["{DATA_WS}"]:'
            " they have market data for everybody"
        )
    return _REMEDIES[kind].format(key=key)


def symbol(wanted: str, listed: Sequence[Market], near: Sequence[str]) -> Finding:
    """Whether the market exists; ``near`` are names that may have been meant."""
    for market in listed:
        if f"{market.base}/{market.quote}" == wanted:
            if market.status == "TRADING":
                return ok("symbol", f"{wanted} is traded")
            return warn(
                "symbol",
                f"{wanted} is not trading now (status {market.status})",
                "wait, or choose another exchange.symbol",
            )
    hint = f"did you mean {' or '.join(near)}?" if near else "see the exchange's list of markets"
    return fail("symbol", f"the exchange has no market {wanted}", f"set exchange.symbol: {hint}")


def clock(host: str, skew_ms: float | None, most_s: float | None) -> Finding:
    """Whether the clock of this machine, ``host``, is right; ``most_s`` None: it may be wrong."""
    if skew_ms is None:
        return warn(
            "clock",
            "could not be compared: the exchange takes longer than 1 s to tell its time",
            "try again; if it stays so, check the network",
        )
    if most_s is None or abs(skew_ms) <= most_s * 1000:
        return ok("clock", f"{abs(skew_ms):.0f} ms from the exchange's")
    what, _, remedy = skewed_sentence(host, skew_ms).partition(": ")
    return fail("clock", what, remedy)
