"""The text of a configuration: a file of JSON, or why there is none to use."""

import json
from pathlib import Path
from typing import Any

from shared import config_errors as errors
from shared.config_errors import Fault

# A configuration is a page; whatever is larger is another file by mistake.
MAX_FILE_BYTES = 1_000_000


def read_json(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The object in the file; faults with an empty path mean that there is none to use."""
    text = read_text(path)
    if isinstance(text, Fault):
        return {}, [text]
    if not text.strip():
        return {}, [Fault("", "the file is empty", "write at least {}")]
    faults: list[Fault] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            name = errors.shown_key(key)
            faults.append(Fault(name, "stands twice in the same object", "remove one of them"))
        return dict(pairs)

    try:
        values = json.loads(text, object_pairs_hook=unique, parse_int=whole)
    except json.JSONDecodeError as error:
        return {}, [errors.json_fault(error)]
    except RecursionError:
        return {}, [Fault("", "the file is nested too deeply", "sections hold keys, nothing more")]
    if not isinstance(values, dict):
        what = f"the file holds {errors.kind(values)}, not an object"
        return {}, [Fault("", what, 'write {"exchange": {…}, …}')]
    return values, faults


def read_text(path: Path) -> str | Fault:
    """The text of a file, or why there is none to use."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Fault("", "the file is larger than 1 MB", "is it a configuration?")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return Fault("", f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable name"
        return Fault("", f"the file cannot be read: {reason}", "check its path and permissions")


def whole(digits: str) -> int | float:
    """A whole number of JSON, however long it is."""
    # Python refuses to convert more than 4300 digits; as a float it is infinite, and refused by us.
    return int(digits) if len(digits) <= 20 else float(digits)
