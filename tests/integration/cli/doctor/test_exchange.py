"""``doctor`` before an exchange that cannot be used from here."""

import pytest

from cli.doctor import ask_rest
from sim.script import Answer
from tests.integration.cli.doctor.patients import (
    Patient,
    only,
    says,
    silent_peer,
)


async def test_a_region_that_the_exchange_does_not_serve(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(451, "{}"), 100)
    ill.exchange.refuse_handshakes(status=451)
    report = await ill.doctor()
    assert report.code == 1
    for check in ("REST", "WebSocket"):
        says(report, check, "fail", "does not serve this region (HTTP 451)")
        says(report, check, "fail", '["https://data-api.binance.vision"]')
        says(report, check, "fail", '["wss://data-stream.binance.vision"]')
    says(report, "clock", "warn", "not compared")


async def test_one_host_of_two_is_forbidden(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(403, "<html>"), 1)
    ill.set("exchange", rest_hosts=[ill.exchange.rest_url, f"{ill.exchange.rest_url}/."])
    report = await ill.doctor()
    only(report, "REST", "warn", "refuses this address (HTTP 403)", "is used", "data-api.binance")
    assert report.code == 0


async def test_a_host_that_refuses_connections(ill: Patient) -> None:
    ill.exchange.rest.door.shut()
    report = await ill.doctor()
    says(report, "REST", "fail", "cannot be reached (Connect", "check exchange.rest_hosts")
    says(report, "WebSocket", "ok", "answers in")


async def test_a_host_that_does_not_speak_tls(ill: Patient) -> None:
    ill.set("exchange", rest_hosts=[ill.exchange.rest_url.replace("http:", "https:")])
    ill.set("exchange", ws_hosts=[ill.exchange.ws_url.replace("ws:", "wss:")])
    report = await ill.doctor()
    says(report, "REST", "fail", "does not agree on TLS (", "need a host that speaks TLS")
    says(report, "WebSocket", "fail", "cannot be reached (", "check exchange.ws_hosts")


async def test_a_certificate_that_nobody_here_trusts(ill: Patient) -> None:
    box = await ill.mailbox("tls")
    ill.set("exchange", rest_hosts=[f"https://127.0.0.1:{box.port}"])
    report = await ill.doctor()
    only_rest = [each for each in report.not_ok if each.check not in ("REST", "clock")]
    assert only_rest == []
    says(report, "REST", "fail", "a certificate that is not trusted", "clock of this machine")


async def test_hosts_that_never_answer(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_rest, "_STEP_S", 0.3)
    monkeypatch.setattr("cli.doctor.ask_websocket._OPEN_S", 0.3)
    async with silent_peer() as peer:
        at = f"127.0.0.1:{peer.port}"
        ill.set("exchange", rest_hosts=[f"http://{at}"], ws_hosts=[f"ws://{at}"])
        report = await ill.doctor()
    for check in ("REST", "WebSocket"):
        says(report, check, "fail", "does not answer in time", "firewall")


async def test_something_else_answers_in_the_exchanges_place(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(200, "<html>Log in to our WiFi", {}, "text/html"), 100)
    report = await ill.doctor()
    says(report, "REST", "fail", "not the exchange's", "captive portal")


async def test_a_market_that_does_not_exist(ill: Patient) -> None:
    ill.set("exchange", symbol="BTC/USDX")
    report = await ill.doctor()
    only(report, "symbol", "fail", "no market BTC/USDX", "did you mean BTC/USD")
    assert report.code == 1


@pytest.mark.parametrize(("by_ms", "where"), [(7000, "behind"), (-7000, "ahead of")])
async def test_a_clock_that_is_wrong(ill: Patient, by_ms: int, where: str) -> None:
    ill.exchange.clock._base_ms += by_ms
    ill.exchange.clock._least_ms = 0
    report = await ill.doctor()
    only(report, "clock", "fail", f"7.0 s {where} the exchange's", "timedatectl set-ntp true")
