"""Faults of REST. Counts are requests; what is left of them ends after ``for_ms``."""

import json
from collections.abc import Collection
from functools import partial
from typing import Any

from sim.faults.bounded import Bounded
from sim.faults.catalogue import FAULTS, fault
from sim.rest import HalfBody
from sim.script import Answer

BUSY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class RestFaults(Bounded):
    """How REST refuses, hangs, breaks off, or does not know yet."""

    usual_lag_ms: int

    @fault("rest")
    def answer_rest(self, answer: Answer, count: int = 1, *, for_ms: int | None = None) -> None:
        """Give the next REST requests this answer."""
        self._answer(answer, count, for_ms)

    @fault()
    def hide(self, open_ms: Collection[int], count: int = 1, *, for_ms: int | None = None) -> None:
        """Leave these candles out of the next REST pages."""
        hole = frozenset(open_ms)
        self.rest.holes.add(hole, count)
        self.expire(for_ms, partial(self.rest.holes.drop, hole))

    @fault()
    def rest_limit(
        self,
        count: int = 1,
        *,
        status: int = 429,
        retry_after_s: int = 1,
        for_ms: int | None = None,
    ) -> None:
        """Refuse for too many requests: 429, or 418 for the ban that follows."""
        if status == 418:
            until_ms = self.clock.now_ms + retry_after_s * 1000
            text = f"Way too much request weight used; IP banned until {until_ms}. "
        else:
            text = (
                "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
            )
        body = {"code": -1003, "msg": text + "Please use WebSocket Streams for live updates."}
        headers = {"Retry-After": str(retry_after_s)}
        self._answer(Answer(status, json.dumps(body), headers), count, for_ms)

    @fault()
    def rest_error(
        self,
        count: int = 1,
        *,
        status: int = 503,
        html: bool = False,
        for_ms: int | None = None,
    ) -> None:
        """Answer with an error of the server's, as JSON or as somebody's HTML page."""
        answer = Answer(
            status, json.dumps({"code": -1008, "msg": "Server is currently overloaded."})
        )
        if html:
            answer = Answer(status, BUSY_PAGE.format(status), content_type="text/html")
        self._answer(answer, count, for_ms)

    @fault()
    def rest_html(self, count: int = 1, *, for_ms: int | None = None) -> None:
        """Answer 200 with an HTML page, as a captive portal does."""
        page = BUSY_PAGE.format("Please sign in")
        self._answer(Answer(200, page, content_type="text/html"), count, for_ms)

    @fault()
    def rest_hang(self, count: int = 1, *, hang_s: float = 30.0, for_ms: int | None = None) -> None:
        """Say nothing for a while, then cut the connection."""
        self._answer(Answer(delay_s=hang_s, drop=True), count, for_ms)

    @fault()
    def rest_reset(self, count: int = 1, *, for_ms: int | None = None) -> None:
        """Reset the connection instead of answering; clients may try once more by themselves."""
        self._answer(Answer(reset=True), count, for_ms)

    @fault()
    def rest_truncate(
        self, count: int = 1, *, unnoticed: bool = False, for_ms: int | None = None
    ) -> None:
        """Break off true answers in the middle, with a stated length that gives it away or not."""
        half = HalfBody(unnoticed)
        self.rest.halves.add(half, count)
        self.expire(for_ms, partial(self.rest.halves.drop, half))

    @fault()
    def rest_lag(self, lag_ms: int, *, for_ms: int | None = None) -> None:
        """Let REST learn of closed candles this much later than the stream."""
        self.rest.lag_ms = lag_ms
        self.until("lag", for_ms, partial(setattr, self.rest, "lag_ms", self.usual_lag_ms))

    def _answer(self, answer: Answer, count: int, for_ms: int | None) -> None:
        self.rest.answers.add(answer, count)
        self.expire(for_ms, partial(self.rest.answers.drop, answer))


def _scripted_answer(faults: RestFaults, *, count: int = 1, **answer: Any) -> None:
    """``answer_rest`` for those who cannot hand over an ``Answer``."""
    for_ms = answer.pop("for_ms", None)
    faults.answer_rest(answer_of(answer), count, for_ms=for_ms)


FAULTS["rest"] = _scripted_answer


def answer_of(parts: dict[str, Any]) -> Answer:
    """A scripted answer; a body that is no text is written as JSON."""
    body = parts.pop("body", "")
    return Answer(body=body if isinstance(body, str) else json.dumps(body), **parts)
