"""docs/configuration.md says what the code says."""

import json
from pathlib import Path

from shared.config_keys import SECTIONS
from shared.settings import Settings

ROOT = Path(__file__).parents[3]


def _documented() -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    section = ""
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `") and section in Settings.model_fields:
            key, default, meaning = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            rows[f"{section}.{key.strip('` ')}"] = (default, meaning.strip(" |"))
    return rows


def test_the_reference_names_every_key_its_default_and_its_meaning() -> None:
    expected = {}
    for name, section in SECTIONS.items():
        for key, info in section.model_fields.items():
            default = "*required*"
            if not info.is_required():
                value = info.get_default(call_default_factory=True)
                value = getattr(value, "get_secret_value", lambda v=value: v)()
                default = f"`{json.dumps(value)}`"
            expected[f"{name}.{key}"] = (default, info.description)
    assert _documented() == expected
