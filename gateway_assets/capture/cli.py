"""The command ``gateway-capture``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from gateway_assets import clock
from gateway_assets.capture.backend import Options
from gateway_assets.capture.backends import BACKENDS, open_backend
from gateway_assets.capture.daemon import Plan, Stop, Summary, run
from gateway_assets.capture.say import say
from gateway_assets.errors import GatewayError, UsageError
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
"""


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
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.request)
    root = Path(asked.data_dir or os.environ.get("GATEWAY_DATA_DIR") or "data") / "landing"
    name = asked.backend
    if name == "auto":
        name = "sockdiag"
        say("backend sockdiag: it is exact and needs no privilege")
    if name == "replay" and asked.duration:
        raise UsageError("a replay ends with its file", hint="leave out --duration")
    options = Options(asked.interface, asked.local_net, asked.file, asked.start)
    backend = open_backend(name, options)
    try:
        duration = float(asked.interval) if asked.once and backend.live else asked.duration
        plan = Plan(root, asked.host, asked.interval * clock.SECOND, duration)
        with explained(root):
            summary = run(backend, plan, stop)
    finally:
        backend.close()
    sys.stdout.write(_as_json(summary) if asked.json else _as_text(summary))
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
    option("--backend", choices=["auto", *BACKENDS], default="auto", help="default: auto")
    option("-i", "--interface", metavar="NAME", help="network interface (packet, iftop)")
    option("--local-net", metavar="NET", help="which addresses are the near side (packet, iftop)")
    option("--file", metavar="FILE", help="iftop transcript or recorded rows (replay)")
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
        default=30,
        help="length of an interval, 1 to 3600 (default: %(default)s)",
    )
    option("--duration", metavar="SECONDS", type=_duration, help="stop after so long")
    option("--once", action="store_true", help="one interval, or the whole file, then stop")
    option("--data-dir", metavar="DIR", help="default: GATEWAY_DATA_DIR or ./data")
    option("--host", default=socket.gethostname(), help="default: this host's name")
    option("--json", action="store_true", help="print the summary as one JSON object")
    option("--version", action=_Version, nargs=0, help="print the version and stop")
    return parser


def _moment(text: str) -> int:
    try:
        return clock.parse_moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from None


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
