"""Fetch the uv that uv.lock pins, where Python has no pip: ``fetch_uv.py TARGET``.

Standard library only. The wheel's SHA-256 is checked against the lock file.
"""

from __future__ import annotations

import hashlib
import io
import platform
import sys
import tomllib
import zipfile
from pathlib import Path
from urllib.request import urlopen


def main(target: Path) -> None:
    lock = tomllib.loads(Path("uv.lock").read_text("utf-8"))
    (package,) = (package for package in lock["package"] if package["name"] == "uv")
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    machine = f"{platform.machine()}.whl"
    wheel = next(
        wheel
        for wheel in package["wheels"]
        if libc in wheel["url"] and wheel["url"].endswith(machine)
    )
    with urlopen(wheel["url"], timeout=120) as answer:  # noqa: S310  an https address of the lock
        content = answer.read()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != wheel["hash"]:
        sys.exit(f"setup: error: {wheel['url']} is not the file that uv.lock names")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        target.write_bytes(archive.read(name))
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
