"""The same as JSON."""

import json

from cli.status.document import document, unreachable_document
from cli.status.screen import headline
from cli.status.verdict import Problem, Verdict, judge
from tests.unit.cli.status.samples import BOUNDARY, NOW, facts


def test_json_has_the_same_names_whether_redis_answers_or_not() -> None:
    found = json.loads(json.dumps(document(facts(), judge(facts()))))
    verdict = Verdict((Problem("Redis is away", "start it"),))
    nothing = unreachable_document(NOW, "BTC/USDT", "redis://db:6379/0", verdict)
    assert set(nothing) == set(found) - {
        "min_confidence",
        "beat_interval_ms",
        "max_clock_skew_ms",
    }
    assert (nothing["redis"]["reachable"], found["redis"]["reachable"]) == (False, True)
    assert nothing["problems"] == [{"what": "Redis is away", "remedy": "start it"}]
    assert found["candles"][0]["last_close_ms"] == BOUNDARY
    assert list(headline(verdict)) == [
        "UNHEALTHY: 1 problem", "  ! Redis is away", "    -> start it",
    ]  # fmt: skip
