"""A heartbeat as a service wrote it; strangers may have written there too. Pure."""

from collections.abc import Iterator

from cli.status.answers import whole
from cli.status.facts import Instance


def instance_of(beat: dict[str, str], now_ms: int) -> Instance:
    """The instance that wrote it; what is read is taken out of ``beat``."""

    def take(name: str) -> int | None:
        return whole(beat.pop(name, ""))

    def since(name: str) -> int | None:
        then = take(name)
        return None if then is None else max(0, now_ms - then)

    return Instance(
        service=beat.pop("service"),
        instance=beat.pop("instance", "?"),
        state=beat.pop("state", "unknown"),
        version=beat.pop("version", ""),
        host=beat.pop("host", ""),
        pid=take("pid"),
        uptime_ms=(take("uptime_s") or 0) * 1000,
        beat_age_ms=since("beat_at") or 0,
        data_age_ms=since("last_data_at"),
        errors_last_hour=take("errors_last_hour") or 0,
        last_error=beat.pop("last_error", ""),
        latencies_ms=dict(_latencies(beat)),
        counters=dict(_counters(beat)),
        facts=dict(sorted(beat.items())),
    )


def _latencies(beat: dict[str, str]) -> Iterator[tuple[str, tuple[float, float]]]:
    for name in [each for each in beat if each.endswith("_p50_ms")]:
        what = name.removesuffix("_p50_ms")
        try:
            yield what, (float(beat.pop(name)), float(beat.pop(f"{what}_p99_ms", "")))
        except ValueError:
            continue


def _counters(beat: dict[str, str]) -> Iterator[tuple[str, int]]:
    for name in sorted(each for each in beat if each.startswith("count_")):
        total = whole(beat.pop(name))
        if total is not None:
            yield name.removeprefix("count_"), total
