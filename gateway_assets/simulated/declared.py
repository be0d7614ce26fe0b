"""The simulated cluster's line in clusters.toml, between two comments so that it can be replaced.

Its ports are others each time it starts. Lines of other clusters stay as they are.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from gateway_assets.errors import ConfigError
from gateway_assets.files.appear import explained, make_directory, partial_path, sync_directory
from gateway_assets.simulated.cluster import NAME

_BEGIN, _END = "# simulated cluster: begin\n", "# simulated cluster: end\n"
_OWN = re.compile(f"\n?{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)


def declare(file: Path, lines: str) -> None:
    """Put the lines into the file, in the place of those that were there before.

    Raises ConfigError when the file is no TOML, or declares a cluster of that name by itself.
    """
    others = _OWN.sub("", file.read_text("utf-8")) if file.exists() else ""
    try:
        clusters = tomllib.loads(others).get("clusters", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint="mend or remove it") from None
    if any(cluster.get("name") == NAME for cluster in clusters):
        raise ConfigError(
            f"{file} declares a cluster {NAME!r} already", hint=f"give it another name in {file}"
        )
    gap = "\n" if others else ""
    write(file, f"{others}{gap}{_BEGIN}{lines}{_END}".encode(), mode=0o644)


def write(file: Path, content: bytes, *, mode: int) -> None:
    """Write a small file whole, or not at all, over one that may be there."""
    make_directory(file.parent)
    with explained(file):
        partial = partial_path(file)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
        sync_directory(file.parent)
