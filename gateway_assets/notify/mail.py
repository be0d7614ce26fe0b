"""E-mail by SMTP: one plain mail for the messages of a group, within a deadline."""

from __future__ import annotations

import email.policy
import email.utils
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from typing import Any, Literal, NamedTuple

from gateway_assets.collect.deadline import Watch, connected, shut_down_at
from gateway_assets.errors import SinkRefused, SinkUnavailable
from gateway_assets.notify.sink import Message, key_of
from gateway_assets.notify.wording import subject_of, text_of

Security = Literal["starttls", "ssl", "none"]
_MOST_ANSWERED = 64 * 1024
# What a mail of seven bits needs no extension of the server for.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")


class Mail(NamedTuple):
    """A server, who writes to whom, a login ("": none), and the seconds that a mail may take."""

    host: str
    port: int
    security: Security
    sender: str
    recipients: tuple[str, ...]
    user: str
    password: str
    seconds: float

    def send(self, messages: Sequence[Message]) -> str:
        """Raises SinkRefused and SinkUnavailable. A recipient that alone is refused is told of."""
        mail = mail_of(messages, self.sender, self.recipients)
        deadline = time.monotonic() + self.seconds
        watch = Watch()
        try:
            with (
                connected(self.host, self.port, deadline) as sock,
                shut_down_at(sock, deadline) as watch,
            ):
                return self._deliver(sock, mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _judged(f"{self.host} refuses {_listed(error.recipients)}", min(codes)) from None
        except smtplib.SMTPResponseException as error:
            if watch.fired:
                raise SinkUnavailable(f"{self.host} did not answer in time") from None
            told = f"{self.host} answered {error.smtp_code} {_text(error.smtp_error)}"
            raise _judged(told, error.smtp_code) from None
        except smtplib.SMTPNotSupportedError as error:
            raise SinkRefused(f"{self.host}: {error}", hint="look at the channel's tls") from None
        except (OSError, ValueError) as error:  # smtplib's own errors are OSErrors
            told = "did not answer in time" if watch.fired else _told(error)
            raise SinkUnavailable(f"{self.host} {told}") from None

    def _deliver(self, sock: socket.socket, mail: EmailMessage) -> str:
        context = ssl.create_default_context()
        if self.security == "ssl":
            sock = context.wrap_socket(sock, server_hostname=self.host)
        with sock:
            client = _Client(sock, self.host, self.port)
            try:
                if self.security == "starttls":
                    client.starttls(context=context)
                if self.user:
                    client.login(self.user, self.password)
                refused = client.send_message(mail, self.sender, list(self.recipients))
                with suppress(OSError, ValueError):  # the mail was taken, whatever comes now
                    client.quit()
            finally:
                client.close()
        return f"not to {_listed(refused)}" if refused else ""


class _Client(smtplib.SMTP):
    """A session over a connection that there is already; answers are of bounded length."""

    def __init__(self, sock: socket.socket, host: str, port: int) -> None:
        self._given = sock
        super().__init__(host, port, local_hostname="localhost")

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del host, port, timeout
        return self._given

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file: Any = _Bounded(self.sock)
        return super().getreply()


class _Bounded:
    """Lines of a socket, up to so many bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")
        self._left = _MOST_ANSWERED

    def readline(self, size: int) -> bytes:
        line = self._file.readline(min(size, self._left))
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._file.close()


def mail_of(messages: Sequence[Message], sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail. Its Message-ID is the same whenever the same messages are sent."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = subject_of(messages)
    mail["Date"] = email.utils.localtime()
    mail["Message-ID"] = f"<{key_of(messages)}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of an absent person, please
    mail.set_content(text_of(messages))
    return mail


def _judged(told: str, code: int) -> SinkRefused | SinkUnavailable:
    """4xx may succeed later, 5xx will not (RFC 5321, 4.2.1)."""
    if 500 <= code < 600:
        return SinkRefused(told, hint="look at the channel's addresses and login")
    return SinkUnavailable(told)


def _listed(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{who}: {code} {_text(said)}" for who, (code, said) in refused.items())


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "hung up"
    if isinstance(error, ssl.SSLError):
        return f"has no good TLS: {getattr(error, 'verify_message', '') or error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror.lower()}"
    return f"cannot be used: {type(error).__name__}"
