"""A configuration in a folder of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared import config_draft, config_place
from shared.config_errors import ConfigError, Fault
from shared.configuration import load_settings
from shared.settings import Settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the machine that runs the test is found."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(config_place, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(config_draft, "DOCKER_SECRETS", tmp_path / "docker-secrets")


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def _load(values: object, environ: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "config.json"
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return load_settings(path, environ or {})

    return _load


@pytest.fixture
def faults(load: Any) -> Any:
    def _faults(values: object, environ: Mapping[str, str] | None = None) -> dict[str, Fault]:
        with pytest.raises(ConfigError) as caught:
            load(values, environ)
        assert caught.value.__cause__ is None
        return {fault.path: fault for fault in caught.value.faults}

    return _faults
