"""A real ``gateway serve`` on a free port."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.settings import load_settings

GATEWAY = [sys.executable, "-c", "from gateway_assets.cli.main import main; main()"]
ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data: Path, port: int, **more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    mine = {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_DATA_DIR": str(data),
        "GATEWAY_SERVE_PORT": str(port),
        # Points of any year stay points here.
        "GATEWAY_POINTS_KEEP_DAYS": "36500",
    }
    return {**plain, **mine, **more}


class Server:
    """One service; what it has taken is loaded into points.db and read there."""

    def __init__(self, data: Path, *options: str, **env: str) -> None:
        self.port, self.data = free_port(), data
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = environment(data, self.port, **env)
        self.process = subprocess.Popen(
            [*GATEWAY, "serve", *options], env=self.env, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said == f"writes: {self.url}\n"

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        finally:
            connection.close()

    def write(self, body: str, database: str = "d") -> int:
        return self.ask("POST", f"/write?db={database}", body.encode()).status

    def raw(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(data)
        return connection

    def metric(self, name: str) -> float:
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(f"gateway_serve_{name} "):
                return float(line.split()[1])
        raise AssertionError(name)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of points.db, once all of the log is loaded."""
        return loaded(self.data, query)

    def stop(self) -> tuple[int, str]:
        """Its exit code, and what it said since it began to listen."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


def loaded(data: Path, query: str) -> list[tuple[Any, ...]]:
    with open_points(data / "points.db") as connection:
        Loader(connection, load_settings(data_dir=data)).load()
        return list(connection.execute(query))


def stored(data: Path, query: str) -> list[tuple[Any, ...]]:
    """What is in points.db by itself."""
    with sqlite3.connect(data / "points.db", timeout=30) as connection:
        found = list(connection.execute(query))
    connection.close()
    return found


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that disturb no other; each writes measurements of its own."""
    found = Server(tmp_path_factory.mktemp("shared") / "data", "--no-loader")
    yield found
    code, said = found.stop()
    assert (code, said) == (0, "")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*options: str, data: Path = tmp_path / "data", **env: str) -> Server:
        started.append(Server(data, *options, **env))
        return started[-1]

    yield start
    for one in started:
        with one.process:  # which closes its pipe
            one.process.kill()


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)
