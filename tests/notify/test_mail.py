"""Mail against a server on a socket: what arrives, what its replies mean, and that a call ends."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.errors import SinkRefused, SinkUnavailable
from gateway_assets.notify.mail import Mail
from gateway_assets.notify.sink import Message, State
from gateway_assets.notify.wording import subject_of
from gateway_assets.registry.words import AlertLevel
from tests.collect.servers import Handler, greeting, refused_port, serving, silent, trickling
from tests.notify.receivers import MailServer, certificate, plain_login
from tests.notify.told import NOON, message


def mail(port: int, **given: Any) -> Mail:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "gateway@plant.example",
        "recipients": ("ops@plant.example", "night@plant.example"),
        "user": "",
        "password": "",
        "seconds": 30.0,
    }
    return Mail(**{**fields, **given})


def sent(messages: list[Message]) -> EmailMessage:
    server = MailServer()
    with serving(server.handle) as port:
        assert mail(port).send(messages) == ""
    (data,) = server.mails
    assert data.isascii()  # the server offers nothing that would let it be otherwise
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_what_arrives() -> None:
    both = [
        message(device="Kühlung"),
        message(
            seq=2, state=State.RESOLVED, resolved_at=NOON, level=AlertLevel.FATAL, url="http://x/1"
        ),
    ]
    got = sent(both)
    assert got["From"] == "gateway@plant.example"
    assert got["To"] == "ops@plant.example, night@plant.example"
    assert got["Subject"] == "[FATAL] 2 notifications: hot"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content_type() == "text/plain"
    assert got.get_content().replace("\r\n", "\n") == (
        "FIRING WARNING hot: Kühlung temperature 91.5 (threshold 80)\n"
        "  since 2026-03-01 12:00:00 UTC\n"
        "  too hot\n"
        "\n"
        "RESOLVED FATAL hot: PLC-1 temperature 91.5 (threshold 80)\n"
        "  since 2026-03-01 12:00:00 UTC, resolved 2026-03-01 12:00:00 UTC\n"
        "  too hot\n"
        "  http://x/1\n"
    )


def test_the_envelope() -> None:
    server = MailServer()
    with serving(server.handle) as port:
        mail(port).send([message()])
    assert server.heard == [
        "ehlo localhost",
        "mail FROM:<gateway@plant.example>",
        "rcpt TO:<ops@plant.example>",
        "rcpt TO:<night@plant.example>",
        "data",
        "quit",
    ]


def test_a_mail_is_known_again_by_its_id() -> None:
    first, again, other = sent([message()]), sent([message()]), sent([message(seq=2)])
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Message-ID"].endswith("@plant.example>")


@pytest.mark.parametrize("field", ["rule", "device", "tag", "message", "url"])
def test_names_add_no_header_and_no_line(field: str) -> None:
    evil = "x\r\nBcc: thief@evil.example\r\n\r\n.\r\nRSET\x1b[2J\u2028y"
    got = sent([message(**{field: evil})])
    assert got["Bcc"] is None
    assert not got.defects
    text = got.get_content()
    assert "\x1b" not in text and "\u2028" not in text
    assert not any(line.startswith(("Bcc", "RSET", ".")) for line in text.splitlines())
    assert subject_of([message(**{field: evil})]).isprintable()


def test_long_lines_arrive_whole() -> None:
    assert "ü" * 3000 in sent([message(message="ü" * 3000)]).get_content()


@pytest.mark.parametrize("at", ["greeting", "ehlo", "mail", "rcpt", "data", "DATA."])
@pytest.mark.parametrize(
    ("code", "error"), [("451", SinkUnavailable), ("550", SinkRefused)], ids=["later", "never"]
)
def test_refusals(at: str, code: str, error: type[Exception]) -> None:
    answers = {at: f"{code} because"}
    if at == "ehlo":
        answers["helo"] = f"{code} because"
    server = MailServer(answers)
    with serving(server.handle) as port, pytest.raises(error, match=f"{code}.*because"):
        mail(port).send([message()])
    assert server.mails == []


def test_a_recipient_that_alone_is_refused_is_told_of() -> None:
    server = MailServer({"rcpt TO:<ops@": "550 unknown"})
    with serving(server.handle) as port:
        note = mail(port).send([message()])
    assert note == "not to ops@plant.example: 550 unknown"
    assert len(server.mails) == 1


def test_recipients_of_which_one_may_be_taken_later_are_tried_again() -> None:
    server = MailServer({"rcpt TO:<ops@": "550 unknown", "rcpt TO:<night@": "450 full"})
    with serving(server.handle) as port, pytest.raises(SinkUnavailable, match="450 full"):
        mail(port).send([message()])


def test_a_goodbye_that_fails_does_not_matter() -> None:
    server = MailServer({"quit": "500 no"})
    with serving(server.handle) as port:
        assert mail(port).send([message()]) == ""
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        pytest.param(silent, "in time", id="silent"),
        pytest.param(trickling(b"", b"2"), "in time", id="trickling"),
        pytest.param(trickling(b"", b"220-more\r\n", 0), "hung up", id="endless"),
        pytest.param(trickling(b"220 ", b"x" * 9999, 0), "too long", id="long-line"),
        pytest.param(lambda _: None, "hung up|reset", id="hung-up"),
        pytest.param(greeting(b"\x16\x03\x01\xff\r\n"), "-1", id="garbage"),
    ],
)
def test_servers_that_are_none(handler: Handler, words: str) -> None:
    with serving(handler) as port, pytest.raises((SinkUnavailable, SinkRefused), match=words):
        mail(port, seconds=0.5).send([message()])


def test_nobody_there() -> None:
    with pytest.raises(SinkUnavailable, match="connection refused"):
        mail(refused_port()).send([message()])


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_login_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    cert, context = certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server = MailServer(
        offers=("STARTTLS", "AUTH PLAIN"), tls=context, is_tls_first=security == "ssl"
    )
    with serving(server.handle) as port:
        mail(port, host="localhost", security=security, user="gw", password="password").send(
            [message()]
        )
    assert len(server.mails) == 1
    (login,) = [line for line in server.heard if line.startswith("AUTH")]
    assert plain_login(login) == ["gw", "password"]
    assert ("STARTTLS" in server.heard) == (security == "starttls")
    assert server.heard.index("STARTTLS") < server.heard.index(login) if security != "ssl" else True


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_certificate_of_somebody_else(tmp_path: Path, security: str) -> None:
    _, context = certificate(tmp_path / "tls")
    server = MailServer(offers=("STARTTLS",), tls=context, is_tls_first=security == "ssl")
    with serving(server.handle) as port, pytest.raises(SinkUnavailable, match=r"self.signed"):
        mail(port, host="localhost", security=security).send([message()])
    assert server.mails == []


def test_nothing_is_sent_in_the_clear_when_tls_is_wanted() -> None:
    server = MailServer()
    with serving(server.handle) as port, pytest.raises(SinkRefused, match="STARTTLS"):
        mail(port, security="starttls").send([message()])
    assert server.mails == []


def test_a_login_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, context = certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server = MailServer({"AUTH": "535 wrong"}, ("AUTH PLAIN",), context, is_tls_first=True)
    with serving(server.handle) as port, pytest.raises(SinkRefused, match="535 wrong") as caught:
        mail(port, host="localhost", security="ssl", user="gw", password="hunter2").send(
            [message()]
        )
    assert "hunter2" not in str(caught.value)
