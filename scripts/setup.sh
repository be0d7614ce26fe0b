#!/bin/sh
# Creates .venv from uv.lock. Needs Python 3.11 or newer and the network; writes nothing else.
set -eu
cd "$(dirname "$0")/.."
UV_VERSION=0.13.8

for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "setup: error: Python 3.11 or newer is needed; on Debian and Ubuntu: apt install python3" >&2
    exit 1
fi

if ! .venv/bin/uv --version 2>/dev/null | grep -qF "uv $UV_VERSION"; then
    # Debian splits ensurepip off into python3-venv; without it uv's wheel is fetched directly.
    if "$found" -c 'import ensurepip' 2>/dev/null; then
        "$found" -m venv .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    else
        "$found" -m venv --without-pip .venv
        .venv/bin/python scripts/fetch_uv.py .venv/bin/uv
    fi
fi
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv sync --frozen --active --quiet
echo "setup: .venv is ready ($(.venv/bin/python --version))"
