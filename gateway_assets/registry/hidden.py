"""Values as they may be shown and kept in the audit and in the history: without secrets."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"pass|secret|token|key|credential|auth|pwd|(^|_)(pw|pin|psk|community)(_|$)", re.IGNORECASE
)
# Names of variables and files, where the secret is, are none.
_PLACE = re.compile(r"(_env|_file|_path)$", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")
# As strings of connections have them: host=h password=…
_ASSIGNED = re.compile(
    r"\b(\w*(?:passw|pwd|secret|token|api_?key)\w*=)[^=\s;&][^\s;&]*", re.IGNORECASE
)
# Addresses in these are places to look at; anywhere else they may be a webhook's.
_OF_PEOPLE = {"endpoint", "name", "description", "location", "message"}


def shown(value: Any, name: str = "") -> Any:
    """``value`` of a field called ``name``, with what may be a secret put out of sight; below such
    a name everything is one.
    """
    is_secret = bool(_SECRET.search(name)) and not _PLACE.search(name)
    match value:
        case dict():
            return {key: shown(item, name if is_secret else key) for key, item in value.items()}
        case list():
            return [shown(item, name) for item in value]
        case bool():
            return value
        case str() | int() | float() if is_secret and value != "":
            return HIDDEN
        case str():
            text = _ASSIGNED.sub(rf"\1{HIDDEN}", value)
            return _ADDRESS.sub(lambda at: _without_secrets(at[0], name not in _OF_PEOPLE), text)
        case _:
            return value


def _without_secrets(address: str, whole: bool) -> str:
    """An address without user and password; of a ``whole`` one, such as a webhook's, also without
    the path, which is often the secret itself.
    """
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    if whole:
        return f"{parts.scheme}://{host}/…"
    user = f"{HIDDEN}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{host}{parts.path}" + ("?…" if parts.query else "")
