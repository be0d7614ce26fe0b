"""Values as they may be shown and kept in the audit: without secrets."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "(hidden)"
_SECRET = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)
# Names of variables and files, where the secret is, are none.
_PLACE = re.compile(r"(_env|_file|_path)$", re.IGNORECASE)


def shown(value: Any, name: str = "") -> Any:
    """``value`` of a field called ``name``, with what may be a secret put out of sight."""
    match value:
        case dict():
            return {key: shown(item, key) for key, item in value.items()}
        case list():
            return [shown(item, name) for item in value]
        case str() if _SECRET.search(name) and not _PLACE.search(name) and value:
            return HIDDEN
        case str() if "://" in value:
            return _without_secrets(value, whole=name != "endpoint")
        case _:
            return value


def _without_secrets(address: str, *, whole: bool) -> str:
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
