"""One file per backend; a new one is a file here and a line below.

Modules are named instead of imported, so that a daemon loads only the backend it runs.
"""

from __future__ import annotations

import importlib
from typing import cast

from gateway_assets.capture.backend import Backend, Options

BACKENDS = {
    "sockdiag": "every TCP connection of this host, exact payload bytes, no privilege",
    "packet": "every IP packet of one interface, exact, needs CAP_NET_RAW, better CAP_BPF, too",
    "iftop": "every IP packet of one interface, needs iftop and CAP_NET_RAW",
    "pcap": "every IP packet of a capture file, .pcap or .pcapng, from --file",
    "replay": "an iftop transcript or recorded rows, from --file",
}


def open_backend(name: str, options: Options) -> Backend:
    """Start a backend. Raises UsageError or CaptureError with a hint."""
    module = importlib.import_module(f"{__name__}.{name}")
    return cast(Backend, module.open_backend(options))
