"""A text as the value of a field: by the field's type alone, never by what it looks like."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from gateway_assets.registry.durations import milliseconds
from gateway_assets.registry.entries import Entry

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False, "wahr": True, "falsch": False}  # Excel's, in German


def value_of(entry: type[Entry], name: str, text: str) -> Any:
    """The value; an empty text gives the field's default. Raises ValueError saying what fits."""
    field = entry.model_fields[name]
    if not text:
        return "" if field.is_required() else field.get_default(call_default_factory=True)
    kinds = kinds_of(field)
    if kinds & {dict, list}:
        return _json(text)
    if bool in kinds:
        return _boolean(text)
    if float in kinds:
        return _number(text)
    if int in kinds:
        return _whole(text)
    return text


def kinds_of(field: FieldInfo) -> set[Any]:
    """The plain types that a field may have; a duration counts as text."""
    kinds = set(_leaves(field.annotation))
    is_duration = any(
        isinstance(one, BeforeValidator) and one.func is milliseconds
        for one in [*field.metadata, *_inner_metadata(field.annotation)]
    )
    return kinds - {int} if is_duration else kinds


def _leaves(annotation: Any) -> list[Any]:
    origin = getattr(annotation, "__origin__", None)
    if hasattr(annotation, "__metadata__"):
        return _leaves(origin)
    if origin in {dict, list}:
        return [origin]
    inner = get_args(annotation)
    return [leaf for one in inner for leaf in _leaves(one)] if inner else [annotation]


def _inner_metadata(annotation: Any) -> list[Any]:
    own = list(getattr(annotation, "__metadata__", ()))
    return own + [one for inner in get_args(annotation) for one in _inner_metadata(inner)]


def is_number(entry: type[Entry], name: str) -> bool:
    return bool(kinds_of(entry.model_fields[name]) & {float, int})


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("it is true or false")
    return _BOOLEANS[text.lower()]


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("it is a number such as 0.5")
    return float(text)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("it is a whole number")
    return int(text)
