"""The sections ``notifier``, ``health`` and ``logging``."""

from typing import Any

from tests.unit.settings.refused import Row, each, refuses
from tests.unit.settings.samples import SMTP, TELEGRAM


def test_quiet_hours_may_be_one_span_or_several(load: Any) -> None:
    for given in ("22:00-07:00", ["22:00-07:00"]):
        assert load({"notifier": {"quiet_hours": given}}).notifier.quiet_hours == ("22:00-07:00",)


REFUSED: list[Row] = [
    (
        "claim during mail",
        {"smtp": SMTP, "notifier": {"claim_idle_seconds": 20}},
        "notifier.claim_idle_seconds",
        "smtp.timeout_seconds",
        "",
    ),
    (
        "claim during chat",
        {"telegram": TELEGRAM, "notifier": {"claim_idle_seconds": 9}},
        "notifier.claim_idle_seconds",
        "telegram.timeout_seconds",
        "",
    ),
    (
        "retry",
        {"notifier": {"retry_base_seconds": 90}},
        "notifier.retry_base_seconds",
        "more than retry_max",
        "",
    ),
    (
        "quiet without end",
        {"notifier": {"quiet_hours": ["22:00"]}},
        "notifier.quiet_hours[0]",
        "is not a span of time",
        "",
    ),
    (
        "quiet all day",
        {"notifier": {"quiet_hours": ["00:00-12:00", "11:00-24:00"]}},
        "notifier.quiet_hours",
        "is the whole day",
        "",
    ),
    (
        "quiet nowhere",
        {"notifier": {"quiet_timezone": "Europe/Berln"}},
        "notifier.quiet_timezone",
        "is not a time zone",
        "Europe/Berlin",
    ),
    (
        "ping by mail",
        {"health": {"ping_url": "ftp://watch.example.com/x"}},
        "health.ping_url",
        "does not begin with http:// or https://",
        "http://",
    ),
    (
        "ping nobody",
        {"health": {"ping_url": "https:///x"}},
        "health.ping_url",
        "has no host",
        "",
    ),
    (
        "ping two dots",
        {"health": {"ping_url": "https://watch..example.com/x"}},
        "health.ping_url",
        "no valid host name",
        "",
    ),
    ("health", {"health": {"ttl_seconds": 2}}, "health.ttl_seconds", "not more than interval", ""),
    ("level", {"logging": {"level": "WARN"}}, "logging.level", "not one of", "WARNING"),
    ("rotation", {"logging": {"rotation": "dayly"}}, "logging.rotation", "not one of", "daily"),
    ("retention", {"logging": {"retention_days": 0}}, "logging.retention_days", "out of range", ""),
    ("file", {"logging": {"file": "a\nb"}}, "logging.file", "control character", ""),
    ("surrogate", {"logging": {"file": "\ud800"}}, "logging.file", "control character", ""),
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)
