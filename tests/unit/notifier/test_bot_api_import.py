"""aiogram is imported lightly, and plainly where that fails; each in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

LIGHT = """
import sys
from pydantic import BaseModel
before = BaseModel.__dict__["model_rebuild"]
from services.notifier.channels import bot_api
assert BaseModel.__dict__["model_rebuild"] is before, "pydantic is left changed"
from aiogram.types import Message
assert not Message.__pydantic_complete__, "the validators were built after all"
made = bot_api.SendText(chat_id=1, text="x", link_preview_options={"is_disabled": True})
print(made.text)
"""

PLAIN = """
import contextlib, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import importlib
real = importlib.import_module
tries = []
def import_module(name, package=None):
    if name == "aiogram":
        tries.append(name)
        if len(tries) == 1:
            real(name)
            raise AttributeError("this aiogram works otherwise")
    return real(name, package)
importlib.import_module = import_module
from services.notifier.channels import bot_api
from aiogram.types import Message
assert Message.__pydantic_complete__
print(bot_api.SendText(chat_id=1, text="x", link_preview_options={}).text)
"""


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_aiogram_is_imported_without_building_the_validators_of_all_its_types() -> None:
    assert run(LIGHT) == ["x"]


def test_an_aiogram_that_cannot_be_imported_lightly_is_imported_plainly_with_a_warning() -> None:
    warning, text = run(PLAIN)
    assert "cannot be imported lightly (this aiogram works otherwise)" in warning
    assert text == "x"
