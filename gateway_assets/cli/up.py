"""``gateway up``: capture, collector, Dagster's UI and daemon together, in the foreground.

What dies is started again after a pause; Ctrl-C or SIGTERM stops all. A collector is not started
while another one has the data directory. Should this process itself be killed, the kernel ends the
others.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import click

from gateway_assets.cli.dagster import DEFINITIONS, environment
from gateway_assets.collect.config import clusters_of
from gateway_assets.collect.loop import lock_of
from gateway_assets.errors import Busy, UsageError
from gateway_assets.files.lock import is_held
from gateway_assets.settings import Settings

PAUSES = (1, 2, 5, 10, 30)
BUSY_SECONDS = 10  # between two looks at whether another process has ended
STOP_SECONDS = 20
STEADY_SECONDS = 60
PR_SET_PDEATHSIG = 1
_COLORS = {
    "capture": "green",
    "web": "cyan",
    "daemon": "magenta",
    "collect": "blue",
    "serve": "yellow",
}


@click.command()
@click.option("--no-capture", is_flag=True, help="Start the UI and the daemon only.")
@click.pass_obj
def up(settings: Settings, no_capture: bool) -> None:
    """Start capture, the Dagster UI and its daemon; stop all with Ctrl-C.

    Where clusters are declared, `gateway collect` runs beside them; with GATEWAY_SERVE=true
    `gateway serve` does, too.

    \b
    Examples:
      gateway up
      GATEWAY_DAGSTER_PORT=3001 gateway up
      GATEWAY_CAPTURE_BACKEND=iftop GATEWAY_CAPTURE_INTERFACE=eth0 gateway up
    """
    _check_port(settings.dagster_host, settings.dagster_port, "GATEWAY_DAGSTER_PORT=3001")
    if settings.serve:
        _check_port(settings.serve_host, settings.serve_port, "GATEWAY_SERVE_PORT=8087")
    locks = {"collect": lock_of(settings.data_dir)}
    services = [
        _Service(name, command, environment(settings), locks.get(name))
        for name, command in commands(settings).items()
        if not (no_capture and name == "capture")
    ]
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopping.set())
    threading.Thread(target=_announce, args=(settings, stopping), daemon=True).start()
    try:
        while not stopping.wait(0.5):
            for service in services:
                service.keep_running()
    finally:
        for service in services:
            service.ask_to_stop()
        for service in services:
            service.wait()


def commands(settings: Settings) -> dict[str, list[str]]:
    """What runs, by name."""
    programs = Path(sys.executable).parent
    capture = [str(programs / "gateway-capture"), "--data-dir", str(settings.data_dir)]
    capture += ["--backend", settings.capture_backend]
    capture += ["--interval", str(settings.capture_interval_seconds)]
    capture += ["--listen", settings.capture_listen, "--geo-language", settings.geo_language]
    for path in settings.geoip_databases:
        capture += ["--geoip", str(path)]
    if settings.capture_interface:
        capture += ["--interface", settings.capture_interface]
    web = [str(programs / "dagster-webserver"), "-m", DEFINITIONS]
    web += ["-h", settings.dagster_host, "-p", str(settings.dagster_port)]
    services = {
        "capture": capture,
        "web": web,
        "daemon": [str(programs / "dagster-daemon"), "run", "-m", DEFINITIONS],
    }
    if clusters_of(settings):
        collect = [str(programs / "gateway"), "--data-dir", str(settings.data_dir), "collect"]
        services["collect"] = collect
    if settings.serve:
        serve = [str(programs / "gateway"), "--data-dir", str(settings.data_dir), "serve"]
        services["serve"] = serve
    return services


class _Service:
    """One child process, its log lines and its restarts.

    ``lock`` is held by whoever does its work, if that must be one process only.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: dict[str, str], lock: Path | None = None
    ) -> None:
        self._name, self._command, self._env = name, command, env
        self._lock, self._is_waiting = lock, False
        self._process: subprocess.Popen[str] | None = None
        self._deaths = 0
        self._started = 0.0
        self._due = 0.0

    def keep_running(self) -> None:
        """Start it when it is not running and its pause is over."""
        now = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            if status == Busy.exit_code and self._lock:
                say(self._name, "left to the other process; starts when that has ended")
                self._process, self._due, self._is_waiting = None, now + BUSY_SECONDS, True
                return
            steady = now - self._started > STEADY_SECONDS
            self._deaths = 0 if steady else min(self._deaths + 1, len(PAUSES) - 1)
            pause = PAUSES[self._deaths]
            say(self._name, f"ended with status {status}; starting it again in {pause} s")
            self._process, self._due = None, now + pause
        if now < self._due:
            return
        if self._is_waiting and self._lock and is_held(self._lock):
            self._due = now + BUSY_SECONDS
            return
        self._is_waiting = False
        self._start(now)

    def ask_to_stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            say(self._name, "did not stop in time; killed")
            self._process.kill()

    def _start(self, now: float) -> None:
        self._started = now
        self._process = subprocess.Popen(
            self._command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process only, which stops them in order
            preexec_fn=_end_with_parent,  # noqa: PLW1509  one prctl call, nothing that can lock
        )
        threading.Thread(target=self._relay, args=(self._process,), daemon=True).start()

    def _relay(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                say(self._name, line.rstrip())


def say(name: str, text: str) -> None:
    click.echo(f"{click.style(f'{name:>8} |', fg=_COLORS.get(name))} {text}")


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _check_port(host: str, port: int, other: str) -> None:
    """``other`` is how to choose another."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint=f"choose another: {other} gateway up",
            ) from None


def _announce(settings: Settings, stopping: threading.Event) -> None:
    """Say where the UI is, as soon as it answers."""
    url = f"http://{settings.dagster_host}:{settings.dagster_port}"
    while not stopping.wait(0.5):
        try:
            with urlopen(f"{url}/server_info", timeout=2):  # noqa: S310  our own http address
                break
        except (URLError, OSError):
            continue
    if not stopping.is_set():
        say("gateway", f"Dagster UI: {url}   (Ctrl-C stops everything)")
