"""Bytes this host exchanged with each remote address, per process, in one interval.

Rows are deltas of an interval ``[time, end_time)``, never running totals, so that any set of
them may be added up. ``layer`` says what was counted: whole IP packets (``ip``) or TCP payload
(``tcp``). The two differ by headers and must never be added to each other, which is why every
roll-up keeps ``backend`` and ``layer`` apart.

``attribution`` says how the process of a row is known: ``socket`` (the kernel says whose it is),
``shared`` (several processes talk to this remote; bytes are divided as their sockets' are),
``ambiguous`` (several processes, and no telling which), ``forwarded`` (no process of this host) or
``unknown``. Since version 2.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="ip_traffic",
    version=2,
    about="Bytes per remote address and process, one row per interval, from gateway-capture.",
    columns=(
        Column("time", Kind.TIME, "Start of the interval, UTC"),
        Column("end_time", Kind.TIME, "End of the interval, UTC, not included"),
        Column("host", Kind.TEXT, "Name of the host that counted"),
        Column(
            "backend", Kind.TEXT, "Capture backend: sockdiag, packet, iftop, pcap, replay or sample"
        ),
        Column("layer", Kind.TEXT, "What was counted: ip (whole packets) or tcp (payload)"),
        Column("interface", Kind.TEXT, "Network interface; NULL means all of them", nullable=True),
        Column("remote_ip", Kind.TEXT, "Address of the other side; IPv4 where it is mapped"),
        Column("process", Kind.TEXT, "Name of the local process, where known", nullable=True),
        Column("pid", Kind.INTEGER, "Process id of the local process, where known", nullable=True),
        Column("tx_bytes", Kind.INTEGER, "Sent to the remote", unit="bytes", summed=True),
        Column("rx_bytes", Kind.INTEGER, "Received from the remote", unit="bytes", summed=True),
        Column("unit", Kind.TEXT, "systemd unit of the process, where known", nullable=True),
        Column("attribution", Kind.TEXT, "How the process is known; NULL: no look", nullable=True),
    ),
)
