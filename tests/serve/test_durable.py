"""What was acknowledged is there, whatever becomes of the disk, the service and its loader."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from gateway_assets.cli.up import commands
from gateway_assets.settings import load_settings
from tests.serve.conftest import GATEWAY, Server, environment, free_port, loaded, stored, until

HEAD = b"POST /write?db=d HTTP/1.1\r\nHost: x\r\n"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    filler = server.data / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def no_file_grows(server: Server) -> Iterator[None]:
    """The kernel refuses every byte that the service writes to a file."""
    pid, kind = server.process.pid, resource.RLIMIT_FSIZE
    old = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (1, old[1]))
    yield
    resource.prlimit(pid, kind, old)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@needs_root
def test_a_full_disk(small_disk: Path, serve: Callable[..., Server]) -> None:
    refused_and_taken_again(serve("--no-loader", data=small_disk), full_disk)


def test_a_disk_that_refuses(serve: Callable[..., Server]) -> None:
    refused_and_taken_again(serve("--no-loader"), no_file_grows)


def refused_and_taken_again(
    server: Server, trouble: Callable[[Server], AbstractContextManager[None]]
) -> None:
    numbers = iter(range(10_000))
    taken = []

    def write() -> int:
        number = next(numbers)
        body = f'held,n={number} v={number}i,why="{"x" * 1000}" 1\n'
        answer = server.ask("POST", "/write?db=d", body.encode())
        if answer.status == 204:
            taken.append(number)
        else:
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
            assert "cannot write" in json.loads(answer.body)["error"]
        return answer.status

    for _ in range(2):
        assert write() == 204
        with trouble(server):
            until(lambda: write() == 503)  # the last of the room is used up
            assert write() == 503
            assert server.write('undecided v="text" 1') == 503
            assert server.ask("GET", "/ping").status == 204
        assert write() == 204
    # What was not stored has left no type behind.
    assert server.write("undecided v=1 1") == 204
    assert server.stop() == (0, "")
    query = "SELECT value FROM points_described WHERE measurement = 'held' AND field = 'v'"
    found = [int(value) for (value,) in loaded(server.data, query)]
    assert set(taken) <= set(found)
    assert len(found) == len(set(found))
    assert loaded(server.data, "SELECT reason FROM point_rejects") == []


class Writers:
    """Threads that write as fast as they are answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.taken: list[tuple[int, int]] = []
        self.tried = 0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(6)]
        for thread in self._threads:
            thread.start()

    def _write(self, writer: int) -> None:
        connection = self._server.connect()
        with closing(connection):
            for number in range(1_000_000):
                self.tried += 1
                try:
                    body = f"kept,writer={writer} v={number}i {number}\n"
                    connection.request("POST", "/write?db=d", body)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, HTTPException):
                    return
                assert answer.status == 204
                self.taken.append((writer, number))

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def missing(self) -> set[tuple[int, int]]:
        query = "SELECT tags, time FROM points_described WHERE measurement = 'kept'"
        found = loaded(self._server.data, query)
        there = {(int(json.loads(tags)["writer"]), number) for tags, number in found}
        assert len(found) == len(there) <= self.tried
        return set(self.taken) - there


def test_nothing_acknowledged_is_lost_by_a_kill(serve: Callable[..., Server]) -> None:
    server = serve()
    writers = Writers(server)
    until(lambda: len(writers.taken) > 500)
    loader = child_of(server)
    server.process.kill()
    writers.wait()
    until(lambda: not Path(f"/proc/{loader}").exists() or is_zombie(loader))
    assert writers.missing() == set()
    again = serve("--no-loader", data=server.data)
    assert again.write("kept,writer=9 v=1i 1") == 204


def test_a_stop_answers_what_it_has_begun(serve: Callable[..., Server]) -> None:
    server = serve()
    writers = Writers(server)
    with (
        closing(server.raw()),
        closing(server.raw(HEAD + b"Content-Length: 99\r\n\r\nkept v=1 1\n")) as slow,
    ):
        until(lambda: len(writers.taken) > 200)
        server.process.terminate()
        assert slow.recv(12) == b"HTTP/1.1 503"
        _, said = server.process.communicate(timeout=30)
    assert (server.process.returncode, said) == (0, "")
    writers.wait()
    assert writers.missing() == set()


def test_a_killed_loader_is_started_again(serve: Callable[..., Server]) -> None:
    server = serve()

    def count() -> int:
        return int(stored(server.data, "SELECT count(*) FROM points")[0][0])

    def write(start: int) -> None:
        for number in range(start, start + 50):
            assert server.write(f"steady v={number}i {number}\nsteady w=1 {number}") == 204

    write(0)
    until(lambda: count() == 100)
    first = child_of(server)
    os.kill(first, signal.SIGKILL)
    write(50)
    until(lambda: count() == 200)
    assert child_of(server) != first
    # What was loaded twice would have been counted twice.
    assert stored(server.data, "SELECT sum(points), sum(frames) FROM segments") == [(200, 100)]
    code, said = server.stop()
    assert (code, said.splitlines()) == (
        0,
        ["the loader ended with status -9; starting it again in 1 s"],
    )
    assert not Path(f"/proc/{first}").exists()


def child_of(server: Server) -> int:
    path = Path(f"/proc/{server.process.pid}/task")
    until(lambda: len(loaders(path)) == 1)
    return loaders(path)[0]


def loaders(tasks: Path) -> list[int]:
    """The children that load; another one evaluates alarms."""
    children = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, command in commands.items() if b"--loader" in command]


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("same_data", "same_port", "code", "told"),
    [
        (True, False, 9, "frames/serve is already running (process {pid})"),
        (False, True, 2, "cannot listen on 127.0.0.1:{port}: Address already in use"),
    ],
    ids=["same directory", "same port"],
)
def test_only_one(
    server: Server, tmp_path: Path, same_data: bool, same_port: bool, code: int, told: str
) -> None:
    data = server.data if same_data else tmp_path / "data"
    port = server.port if same_port else free_port()
    done = subprocess.run(
        [*GATEWAY, "serve"],
        env=environment(data, port),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code
    what, hint = done.stderr.splitlines()
    assert told.format(pid=server.process.pid, port=server.port) in what
    assert hint.strip()


def test_up_says_so_before_it_starts_anything(server: Server, tmp_path: Path) -> None:
    env = environment(tmp_path, server.port, GATEWAY_SERVE="true")
    env["GATEWAY_DAGSTER_PORT"] = str(free_port())
    command = [*GATEWAY, "up", "--no-capture"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{server.port}" in done.stderr
    assert "GATEWAY_SERVE_PORT=8087 gateway up" in done.stderr


def test_up_starts_it(tmp_path: Path) -> None:
    assert "serve" not in commands(load_settings(data_dir=tmp_path))
    command = commands(load_settings(data_dir=tmp_path, serve=True))["serve"]
    assert command[1:] == ["--data-dir", str(tmp_path), "serve"]
