"""What can be wrong with a configuration, as a list for a person.

No text that stood in a value is ever repeated here: a secret is easily put into the wrong place.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

# A key that looks like this is repeated in a message; a pasted bot token, with its colon, does not.
_HARMLESS_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, where it stands, and what to do about it."""

    path: str
    """Place in the file, ``signal_rules.rsi_min``; empty for the file as a whole."""
    what: str
    remedy: str = ""
    near: str = ""
    """What was probably meant, where it is a name."""
    origin: str = ""
    """Where the value came from, if not from the file."""

    def __str__(self) -> str:
        line = f"{self.path}: {self.what}" if self.path else self.what
        if self.origin:
            line += f" (from {self.origin})"
        if self.near:
            line += f"; did you mean {self.near}?"
        if self.remedy:
            line += f" -> {self.remedy}"
        return line


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` holds everything that is wrong with it."""

    def __init__(self, faults: Iterable[Fault], source: str = "") -> None:
        self.faults = tuple(faults)
        self.source = source
        super().__init__(self.faults, source)

    def __str__(self) -> str:
        count = len(self.faults)
        where = self.source or "the configuration"
        headline = f"{where}: {count} fault{'' if count == 1 else 's'}"
        return "\n".join([headline, *(f"  {fault}" for fault in self.faults)])


class Wrong(ValueError):
    """Raised by a validator in place of ValueError: what is wrong, and its remedy, in our words."""

    def __init__(self, what: str, remedy: str = "", near: str = "") -> None:
        self.what, self.remedy, self.near = what, remedy, near
        super().__init__(what)


def shown_key(key: object) -> str:
    """A key as it may stand in a message."""
    text = str(key)
    return text if _HARMLESS_KEY.fullmatch(text) else f"(a key of {len(text)} characters)"


def join(path: Iterable[str | int]) -> str:
    """A path as people write it: ``exchange.timeframes[1]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown_key(part)}" if text else shown_key(part)
    return text


def key_of(path: str) -> str:
    """``section.key`` of a path that may go deeper."""
    return ".".join(re.split(r"[.\[]", path)[:2])


def kind(value: object) -> str:
    """What a JSON value is, never what it says."""
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    if isinstance(value, float) and abs(value) >= 2**53:
        return "too large a number"
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number with decimals",
        str: "text",
        list: "a list",
        tuple: "a list",
        dict: "an object",
        type(None): "null",
    }
    return names.get(type(value), "something else")


# --- JSON -------------------------------------------------------------------------------------

_JSON_HINTS = (
    (r"'", "use double quotes, not single ones"),
    (r"[\u201c\u201d\u2018\u2019]", "use straight double quotes"),
    (r"//|/\*|#", "JSON has no comments; remove it"),
    (r"True|False|None", "write true, false or null, in small letters"),
    (r"[}\]],?", "remove the comma before the closing bracket"),
    (r"[A-Za-z_]", "put it into double quotes"),
)
_JSON_MESSAGES = (
    ("trailing comma", "remove the comma before the closing bracket"),
    ("control character", "a text ends on its own line; is a closing double quote missing?"),
    ("Unterminated string", "a closing double quote is missing"),
    ("escape", "write a backslash as two: \\\\"),
    ("',' delimiter", "is a comma missing before this place, or a closing bracket?"),
    ("':' delimiter", "a colon belongs between key and value"),
    ("Extra data", "the file goes on after its last closing bracket"),
)


def json_fault(error: json.JSONDecodeError) -> Fault:
    """Where the file stops being JSON. The line itself is not shown: it may hold a secret."""
    rest = error.doc[error.pos :].lstrip()
    hint = next((hint for part, hint in _JSON_MESSAGES if part in error.msg), "")
    if not hint or "delimiter" in error.msg:
        hint = next((text for form, text in _JSON_HINTS[:4] if re.match(form, rest)), hint)
    if not hint:
        hint = next((text for form, text in _JSON_HINTS[4:] if re.match(form, rest)), "")
    if not rest:
        hint = "the file ends too early; is a closing bracket missing?"
    what = f"the file is not JSON at line {error.lineno}, column {error.colno}"
    return Fault("", what, hint or "check what stands there")


# --- pydantic ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """What a field takes."""

    base: object
    bounds: tuple[object, ...]
    nullable: bool


def _form(info: FieldInfo) -> _Form:
    base, bounds, nullable = info.annotation, list(info.metadata), False
    if get_origin(base) in (Union, UnionType):
        base = next(arm for arm in get_args(base) if arm is not type(None))
        nullable = True
    if get_origin(base) is Annotated:
        base, *more = get_args(base)
        bounds += [b for item in more for b in getattr(item, "metadata", [item])]
    return _Form(base, tuple(bounds), nullable)


def shape(info: FieldInfo) -> str:
    """How text becomes a value of this field: ``text``, ``list``, ``truth`` or ``json``."""
    base = _form(info).base
    if base is bool:
        return "truth"
    if get_origin(base) is tuple:
        return "list"
    return "json" if base in (int, float) or get_origin(base) is Mapping else "text"


def _range(bounds: Iterable[object]) -> str:
    limits = {
        name: f"{limit:,}" if limit >= 10_000 else str(limit)
        for bound in bounds
        for name in ("ge", "gt", "le")
        if (limit := getattr(bound, name, None)) is not None
    }
    low = f" from {limits['ge']} to" if "ge" in limits else ""
    low = f" above {limits['gt']}, at most" if "gt" in limits else low
    return f"{low} {limits['le']}" if "le" in limits else ""


def _single(info: FieldInfo) -> str:
    """What one entry of a list may be."""
    numbers = any(str(example).lstrip("-").isdecimal() for example in info.examples or ())
    return "a whole number or text" if numbers else "text"


def _expected(info: FieldInfo) -> str:
    form = _form(info)
    if get_origin(form.base) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(form.base))
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    words = {"list": "a list of texts", "json": "an object", "text": "text"}
    text = names.get(cast("type", form.base), "") or words[shape(info)]
    if shape(info) == "list" and info.examples and not isinstance(info.examples[0], list):
        text = f"{_single(info)}, or a list of such"
    if form.base in (int, float):
        text += _range(form.bounds)
    return text + (" or null" if form.nullable else "")


def _example(info: FieldInfo) -> str:
    value = info.examples[0] if info.examples else None
    if not info.examples and not info.is_required():
        value = info.get_default(call_default_factory=True)
    if value is None or isinstance(value, SecretStr) or value in ("", ()):
        return ""
    return f", for example {json.dumps(value)}"


def unknown(key: str, section: str, keys: Mapping[str, tuple[str, ...]], *, kind: str) -> Fault:
    """A key that is not known in its section (or, with ``section`` empty, a section)."""
    path = f"{section}.{shown_key(key)}" if section else shown_key(key)
    own = keys.get(section, tuple(keys))
    near = get_close_matches(key.lower(), own, n=1, cutoff=0.6)
    homes = [f"{name}.{key}" for name, others in keys.items() if key in others and name != section]
    found = near or homes
    if found:
        return Fault(path, f"is not a known {kind}", "", found[0])
    return Fault(path, f"is not a known {kind}", f"remove it; known are {', '.join(own)}")


def translate(
    section: str,
    model: type[BaseModel],
    values: Mapping[str, Any],
    error: ErrorDetails,
    keys: Mapping[str, tuple[str, ...]],
) -> Fault:
    """One error of pydantic as a fault; of the value that caused it only its kind is told."""
    place = [part for part in error["loc"] if part != "[key]"]
    key = str(place[0])
    if error["type"] == "extra_forbidden":
        return unknown(key, section, keys, kind="key")
    if not isinstance(values.get(key), list):
        place = [part for part in place if isinstance(part, str)]  # one value in place of a list
    path = join([section, *place])
    info = model.model_fields[key]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        return Fault(path, cause.what, cause.remedy, cause.near)
    near = ""
    if error["type"] == "literal_error":
        choices = [str(choice) for choice in get_args(_form(info).base)]
        near = next(iter(get_close_matches(str(error["input"]), choices, n=1, cutoff=0.6)), "")
    what = _WHATS.get(error["type"], "") or f"is {kind(error['input'])}"
    if len(place) > 1 and error["type"] == "string_type":
        return Fault(path, what, f"give {_single(info)}{_example(info)}")
    if isinstance(error["input"], str) and _form(info).base in (int, float, bool):
        return Fault(path, what, f"give {_expected(info)}, without quotes{_example(info)}")
    return Fault(path, what, f"give {_expected(info)}{_example(info)}", near)


_WHATS = {
    "missing": "is missing",
    "literal_error": "is not one of those known",
    "finite_number": "is not a finite number",
    "greater_than": "is out of range",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
    "too_short": "is empty",
    "string_unicode": "is not valid Unicode text",
    "int_parsing_size": "is out of range",
}
