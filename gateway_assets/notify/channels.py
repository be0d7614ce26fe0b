"""What the configuration of a channel may say, and the sink that it makes.

Secrets are never in it: it names the environment variables that hold them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway_assets.errors import ConfigError
from gateway_assets.notify.log import Log
from gateway_assets.notify.mail import Mail, Security
from gateway_assets.notify.sink import Sink
from gateway_assets.notify.webhook import Webhook
from gateway_assets.registry.alerts import Channel
from gateway_assets.registry.words import ChannelType
from gateway_assets.settings import Settings

_PORTS = {"starttls": 587, "ssl": 465, "none": 25}
_Variable = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")]
_Address = Annotated[str, Field(pattern=r"^[!-~]+@[A-Za-z0-9.-]+$", max_length=254)]
Seconds = Annotated[float, Field(ge=0.1, le=60)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookConfig(_Config):
    """``url``, or the variable that holds it when it is a secret itself; the secret's variable."""

    url: str = ""
    url_env: _Variable = ""
    secret_env: _Variable = ""
    timeout_seconds: Seconds = 10

    @model_validator(mode="after")
    def _one_url(self) -> WebhookConfig:
        if bool(self.url) == bool(self.url_env):
            raise ValueError("give either url or url_env")
        if self.url:
            checked_url(self.url)
        return self

    def sink(self, _settings: Settings) -> Sink:
        secret = _secret(self.secret_env) if self.secret_env else ""
        try:
            url = self.url or checked_url(_secret(self.url_env))
        except ValueError as error:
            raise ConfigError(f"{self.url_env}: {error}", hint="correct the variable") from None
        return Webhook(url, secret, self.timeout_seconds)


class MailConfig(_Config):
    """A server, addresses, and the variables that hold its login; 587, 465 or 25 by ``tls``."""

    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$")
    port: int | None = Field(None, ge=1, le=65_535)
    tls: Security = "starttls"
    sender: _Address
    recipients: list[_Address] = Field(min_length=1, max_length=100)
    user_env: _Variable = ""
    password_env: _Variable = ""
    timeout_seconds: Seconds = 30

    @model_validator(mode="after")
    def _safe_login(self) -> MailConfig:
        if bool(self.user_env) != bool(self.password_env):
            raise ValueError("user_env and password_env belong together")
        if self.user_env and self.tls == "none":
            raise ValueError("a password goes over TLS only: tls must be starttls or ssl")
        return self

    def sink(self, _settings: Settings) -> Sink:
        return Mail(
            host=self.host,
            port=self.port or _PORTS[self.tls],
            security=self.tls,
            sender=self.sender,
            recipients=tuple(self.recipients),
            user=_ascii(self.user_env) if self.user_env else "",
            password=_ascii(self.password_env) if self.password_env else "",
            seconds=self.timeout_seconds,
        )


class LogConfig(_Config):
    """``data/notifications.log``, or standard output."""

    stdout: bool = False
    timeout_seconds: Seconds = 10

    def sink(self, settings: Settings) -> Sink:
        return Log(None if self.stdout else settings.notifications_log)


Config = WebhookConfig | MailConfig | LogConfig
_KINDS: dict[ChannelType, type[Config]] = {
    ChannelType.WEBHOOK: WebhookConfig,
    ChannelType.EMAIL: MailConfig,
    ChannelType.LOG: LogConfig,
}


def config_of(name: str, kind: ChannelType, content: Mapping[str, Any]) -> Config:
    """A channel's configuration, checked. Raises ConfigError naming channel, field and rule."""
    model = _KINDS[kind]
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"channel {name!r}: {place + ': ' if place else ''}{told}",
            hint=f"fields of {kind}: {', '.join(model.model_fields)}",
        ) from None


def sink_of(channel: Channel, settings: Settings) -> Sink:
    """Raises ConfigError, also for a variable that is not set."""
    return config_of(channel.name, channel.type, channel.config).sink(settings)


def checked_url(url: str) -> str:
    """The URL. Raises ValueError, which quotes nothing of it."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url must be one of http or https")
    if parts.username is not None:
        raise ValueError("url must hold no user and password")
    return url


def _secret(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(
            f"the environment variable {variable} is not set", hint="set it, then try again"
        )
    return value


def _ascii(variable: str) -> str:
    """A part of a login: Python's smtplib sends no other letters."""
    value = _secret(variable)
    if not value.isascii():
        raise ConfigError(f"{variable} holds letters beyond ASCII", hint="use another login")
    return value
