"""``doctor`` before configurations that are broken."""

from pathlib import Path

import pytest

from cli.doctor.command import diagnose
from tests.integration.cli.doctor.patients import (
    REDIS_PASSWORD,
    Patient,
    Report,
    let_others_pass,
    says,
)


async def test_all_faults_are_shown_and_the_rest_is_examined(ill: Patient) -> None:
    ill.set("signal_rules", rsi_mim=20, volume_spike_threshold="much")
    ill.set("exchange", symbol="btcusdt")
    report = await ill.doctor()
    assert report.code == 2
    assert len(report.of("configuration")) == 3
    says(report, "configuration", "fail", "did you mean rsi_min?", "did you mean BTC/USDT?")
    says(report, "symbol", "warn", "exchange.symbol is wrong in the configuration")
    assert {each.check for each in report.not_ok} == {"configuration", "symbol"}
    says(report, "Redis", "ok", "answers at redis://127.0.0.1")
    says(report, "Telegram", "ok", "@simulated_scanner_bot")


async def test_a_file_that_is_no_json_leaves_the_machine_to_be_examined(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill.text = '{"redis": {"url": "redis://:' + REDIS_PASSWORD + '@h"}, nonsense'
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__REST_HOSTS", ill.exchange.rest_url)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__WS_HOSTS", ill.exchange.ws_url)
    report = await ill.doctor()
    assert report.code == 2
    says(report, "configuration", "fail", "config.json", "line 1")
    for check in ("Redis", "email", "Telegram", "log folder"):
        says(report, check, "warn", "the configuration cannot be read")
    says(report, "REST", "ok", "answers in")
    says(report, "Python", "ok")


async def test_a_configuration_that_is_not_there(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__REST_HOSTS", ill.exchange.rest_url)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__WS_HOSTS", ill.exchange.ws_url)
    report = Report(*await diagnose(Path("nowhere.json")))
    assert report.code == 2
    says(report, "configuration", "fail", "named by --config does not exist", "config.example.json")


async def test_a_secret_that_others_can_read(ill: Patient) -> None:
    ill.mode = 0o644
    ill.folder.chmod(0o700)
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)  # nobody can come so far
    let_others_pass(ill.folder)
    report = await ill.doctor()
    says(
        report, "permissions", "fail", "telegram.bot_token", "mode 644", "chmod 600", "config.json"
    )
    assert report.code in (1, 2)  # 2 where that keeps the services from starting


async def test_without_a_secret_others_may_read_the_file(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", ill.sections["telegram"].pop("bot_token"))
    ill.mode = 0o644
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)
    says(report, "secrets", "ok", "telegram.bot_token (variable TELEGRAM_BOT_TOKEN)")


async def test_a_missing_secret(ill: Patient) -> None:
    del ill.sections["telegram"]["bot_token"]
    report = await ill.doctor()
    assert report.code == 2
    says(report, "configuration", "fail", "telegram.bot_token: is missing", "TELEGRAM_BOT_TOKEN")
    says(report, "Telegram", "warn", "telegram.bot_token is wrong in the configuration")


async def test_a_secret_that_is_still_that_of_the_example(ill: Patient) -> None:
    await ill.mailbox(password="your-password")
    report = await ill.doctor()
    says(report, "secrets", "fail", "smtp.password is still that of", "SMTP_PASSWORD")
    says(report, "email", "fail", "does not accept the login")
