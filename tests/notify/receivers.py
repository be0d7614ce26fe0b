"""What takes notifications: HTTP and SMTP servers on sockets of their own, good and bad ones."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.collect.servers import serving

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {code} So\r\n{lines}Content-Length: 0\r\n\r\n".encode()


@dataclass
class Call:
    """One POST that came whole."""

    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def steps(self) -> list[tuple[str, int, str]]:
        return [(one["series"], one["seq"], one["state"]) for one in self.content["alerts"]]


@dataclass
class Receiver:
    """Answers each call with what ``answer`` says of it; 204 unless told."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[int], bytes] = lambda _: OK
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?room=1"

    def handle(self, connection: socket.socket) -> None:
        call = received(connection)
        with self.lock:
            self.calls.append(call)
            number = len(self.calls)
        connection.sendall(self.answer(number))


@contextmanager
def receiver(answer: Callable[[int], bytes] = lambda _: OK) -> Iterator[Receiver]:
    one = Receiver(answer=answer)
    with serving(one.handle) as port:
        one.port = port
        yield one


def received(connection: socket.socket) -> Call:
    """Reads one request, with a body of the length that it says. Raises EOFError."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return Call(first, headers, body)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise EOFError
    return data


@dataclass
class MailServer:
    """Speaks as much SMTP as it must. ``answers`` gives other replies by the first words of a
    command (``DATA.`` is the end of the mail); mails that were taken are in ``mails``.
    """

    answers: dict[str, str] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    is_tls_first: bool = False
    heard: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)

    def handle(self, connection: socket.socket) -> None:
        if self.is_tls_first and self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rwb") as stream:
            if self._converse(stream):
                assert self.tls
                with (
                    self.tls.wrap_socket(connection, server_side=True) as secured,
                    secured.makefile("rwb") as inner,
                ):
                    self._converse(inner, greet=False)

    def _converse(self, stream: Any, *, greet: bool = True) -> bool:
        """Whether the client wants TLS now."""
        if greet:
            self._say(stream, self.answers.get("greeting", "220 here"))
        while line := stream.readline():
            command = line.decode().rstrip("\r\n")
            self.heard.append(command)
            word = command.split(" ")[0].upper()
            reply = next(
                (told for start, told in self.answers.items() if command.startswith(start)),
                self._usual(word),
            )
            self._say(stream, reply)
            if word == "STARTTLS" and reply.startswith("220"):
                return True
            if word == "DATA" and reply.startswith("354"):
                self._take(stream)
            if word == "QUIT" or reply.startswith("421"):
                return False
        return False

    def _usual(self, word: str) -> str:
        if word == "EHLO":
            lines = ["here", *self.offers]
            return "\r\n".join(
                f"250{'-' if number < len(lines) else ' '}{line}"
                for number, line in enumerate(lines, start=1)
            )
        return {"DATA": "354 go", "QUIT": "221 bye", "STARTTLS": "220 go", "AUTH": "235 in"}.get(
            word, "250 ok"
        )

    def _take(self, stream: Any) -> None:
        data = b""
        while (line := stream.readline()) != b".\r\n":
            if not line:
                raise EOFError
            data += line[1:] if line.startswith(b"..") else line
        reply = self.answers.get("DATA.", "250 taken")
        if reply.startswith("250"):
            self.mails.append(data)
        self._say(stream, reply)

    def _say(self, stream: Any, reply: str) -> None:
        stream.write(f"{reply}\r\n".encode())
        stream.flush()


def plain_login(command: str) -> list[str]:
    """User and password of ``AUTH PLAIN``."""
    return base64.b64decode(command.split(" ")[2]).decode().split("\0")[1:]


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A certificate that nobody has signed but itself, as a file, and a server's use of it."""
    folder.mkdir(exist_ok=True)
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(cert), "-days", "3650"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
