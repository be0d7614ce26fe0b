"""The command ``gateway-capture``."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from gateway_assets import clock
from gateway_assets.capture.addresses import parse_address
from gateway_assets.capture.backend import Backend, Options
from gateway_assets.capture.backends import BACKENDS, open_backend
from gateway_assets.capture.daemon import Plan, Stop, Summary, run
from gateway_assets.capture.metrics.counters import Policy
from gateway_assets.capture.places import Places, open_places
from gateway_assets.capture.say import say
from gateway_assets.capture.sockets.attributed import attributed
from gateway_assets.errors import CaptureError, GatewayError, UsageError
from gateway_assets.files.appear import explained

_EPILOG = """\
backends:
{backends}

examples:
  gateway-capture                                 every TCP connection, until stopped
  gateway-capture --once --interval 5             five seconds of it
  gateway-capture --backend packet -i eth0        every packet of eth0, exact
  gateway-capture --backend packet -i eth1 --local-net 192.168.0.0/16,fd00::/8
  gateway-capture --backend iftop -i lo --local-net 127.0.0.1/32 --duration 60
  gateway-capture --backend replay --file iftop.txt --json
  gateway-capture top --by process                who talks most, every two seconds
  gateway-capture --backend pcap --file x.pcapng --local-net 192.0.2.0/24,2001:db8::/32
"""


DEFAULT_LISTEN = ("127.0.0.1", 9421)
_YOUNG = 10_000  # objects, until cycles among them are looked for: a block makes as many, in none


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="gateway-capture --help")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - costs a daemon a megabyte

        sys.stdout.write(f"gateway-capture {version('gateway-assets')}\n")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is that of the error tree."""
    try:
        return _run(_parser().parse_args(argv))
    except GatewayError as error:
        say(f"error: {error.message}")
        if error.hint:
            say(f"hint: {error.hint}")
        return error.exit_code
    except OSError as error:
        say(f"error: {error}")
        return GatewayError.exit_code


def _run(asked: argparse.Namespace) -> int:
    gc.set_threshold(_YOUNG)
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.request)
    root = Path(asked.data_dir or os.environ.get("GATEWAY_DATA_DIR") or "data") / "landing"
    if asked.backend in ("replay", "pcap") and asked.duration:
        raise UsageError("a replay ends with its file", hint="leave out --duration")
    options = Options(asked.interface, asked.local_net, asked.file, asked.start)
    backend = _best(options) if asked.backend == "auto" else open_backend(asked.backend, options)
    places = open_places([Path(path) for path in asked.geoip or [root.parent / "geoip"]], asked.geo)
    if asked.attribution:
        backend = attributed(backend)
    if asked.command == "top":
        return _top(backend, asked, stop, places)
    asked.interval = asked.interval or 30
    try:
        duration = float(asked.interval) if asked.once and backend.live else asked.duration
        listen = asked.listen
        if listen is None:  # by default, who runs for ever is scraped
            listen = DEFAULT_LISTEN if duration is None and backend.live else ()
        policy = Policy(asked.max_remotes, asked.max_series, asked.admit_bytes, asked.series_ttl)
        interval = asked.interval * clock.SECOND
        plan = Plan(root, asked.host, interval, duration, listen or None, policy, places)
        with explained(root):
            summary = run(backend, plan, stop)
    finally:
        backend.close()
    sys.stdout.write(_as_json(summary) if asked.json else _as_text(summary))
    return 0


def _best(options: Options) -> Backend:
    """What the rights allow: of an interface every packet, else the sockets of this host."""
    if not options.interface:
        say("backend sockdiag: it is exact and needs no privilege; -i NAME counts packets")
        return open_backend("sockdiag", options)
    try:
        backend = open_backend("packet", options)
    except CaptureError as error:
        say(f"not the backend packet: {error.message}")
        backend = open_backend("iftop", options)
        say("backend iftop: it counts packets to three digits")
    else:
        say("backend packet: it counts every packet exactly")
    return backend


def _top(backend: Backend, asked: argparse.Namespace, stop: Stop, places: Places) -> int:
    from gateway_assets.capture.top import View, show  # noqa: PLC0415  not for the daemon

    seconds = float(asked.interval or 2)
    pictures = 1 if asked.once else None
    if asked.duration:
        pictures = max(int(asked.duration / seconds), 1)
    try:
        show(
            backend,
            View(asked.by, seconds, asked.rows, pictures),
            lambda: stop.requested,
            places.place,
        )
    finally:
        backend.close()
    return 0


def _as_json(summary: Summary) -> str:
    return json.dumps(summary._asdict()) + "\n"


def _as_text(summary: Summary) -> str:
    lines = [
        f"{summary.backend} ({summary.layer} bytes), {summary.seconds:.1f} s",
        f"sent {summary.tx_bytes:,} bytes, received {summary.rx_bytes:,} bytes",
        f"{summary.remotes:,} remotes, {summary.rows:,} rows, {summary.files:,} files landed",
    ]
    if summary.already_landed:
        lines.append(f"{summary.already_landed:,} files had already landed")
    if summary.parse_errors:
        lines.append(f"{summary.parse_errors:,} lines or packets could not be read")
    if not summary.complete:
        lines.append(f"incomplete: {summary.lost_events:,} losses before counting")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gateway-capture",
        description="Count bytes per remote address and land them as files.",
        epilog=_EPILOG.format(
            backends="\n".join(f"  {name:10}{about}" for name, about in BACKENDS.items())
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option(
        "command",
        nargs="?",
        choices=["top"],
        metavar="top",
        help="show who talks most instead, and land nothing; keys r p u c q",
    )
    option(
        "--by",
        choices=["remote", "process", "unit", "country"],
        default="remote",
        help="what top shows (default: %(default)s)",
    )
    option("--rows", metavar="N", type=_amount, help="of top; default: what the terminal holds")
    option("--backend", choices=["auto", *BACKENDS], default="auto", help="default: auto")
    option("-i", "--interface", metavar="NAME", help="network interface (packet, iftop)")
    option("--local-net", metavar="NET", help="which addresses are near (packet, iftop, pcap)")
    option("--file", metavar="FILE", help="what to read (replay, pcap)")
    option(
        "--start",
        metavar="TIME",
        type=_moment,
        default="2026-01-01T00:00:00Z",
        help="when a transcript begins, ISO 8601 (default: %(default)s)",
    )
    option(
        "--interval",
        metavar="SECONDS",
        type=_interval,
        help="length of an interval, 1 to 3600 (default: 30; between two pictures of top: 2)",
    )
    option("--duration", metavar="SECONDS", type=_duration, help="stop after so long")
    option("--once", action="store_true", help="one interval, or the whole file, then stop")
    option(
        "--attribution",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="name processes by the sockets of this host, where packets are counted (iftop)",
    )
    option("--data-dir", metavar="DIR", help="default: GATEWAY_DATA_DIR or ./data")
    option("--host", default=socket.gethostname(), help="default: this host's name")
    option(
        "--geoip",
        metavar="FILE",
        action="append",
        help="database of places, .mmdb; may be repeated (default: those in DATA_DIR/geoip)",
    )
    option(
        "--geo-language", dest="geo", default="en", help="of names of places (default: %(default)s)"
    )
    option(
        "--listen",
        metavar="ADDRESS:PORT",
        type=_listen,
        help="where metrics are served, or off (default: 127.0.0.1:9421 when it runs for ever)",
    )
    option(
        "--max-series",
        metavar="N",
        type=_amount,
        default=Policy().series,
        help="remotes with series of their own (default: %(default)s)",
    )
    option(
        "--admit-bytes",
        metavar="N",
        type=_amount,
        default=Policy().admit_bytes,
        help="that a remote must exchange to get them (default: %(default)s)",
    )
    option(
        "--series-ttl",
        metavar="SECONDS",
        type=_amount,
        default=Policy().ttl,
        help="without traffic, after which they end (default: %(default)s)",
    )
    option(
        "--max-remotes",
        metavar="N",
        type=_amount,
        default=Policy().slots,
        help="remotes that are remembered (default: %(default)s)",
    )
    option("--json", action="store_true", help="print the summary as one JSON object")
    option("--version", action=_Version, nargs=0, help="print the version and stop")
    return parser


def _moment(text: str) -> int:
    try:
        return clock.parse_moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from None


def _listen(text: str) -> tuple[str, int] | tuple[()]:
    """An empty tuple is "off"."""
    if text == "off":
        return ()
    address, _, port = text.rpartition(":")
    known = parse_address(address.strip("[]"))
    if known is None or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is neither ADDRESS:PORT nor off")
    return known, int(port)


def _amount(text: str) -> int:
    if not text.isdecimal() or int(text) > 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number up to {2**31}")
    return int(text)


def _interval(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return int(text)


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
