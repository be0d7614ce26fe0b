"""The contract: a message, and a sink that takes some."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from gateway_assets.registry.types import written
from gateway_assets.registry.words import AlertLevel

VERSION = 1


class State(StrEnum):
    """What a message tells of. HELD_BACK: others were not sent; TEST: somebody tries a channel."""

    FIRING = "FIRING"
    ESCALATED = "ESCALATED"
    REMINDER = "REMINDER"
    STALE = "STALE"
    RESOLVED = "RESOLVED"
    HELD_BACK = "HELD_BACK"
    TEST = "TEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One step of one alert. ``seq`` counts the steps of a rule and a series, from 1.

    ``alert_id`` and ``seq`` together name it: who gets the same pair again gets it twice.
    """

    alert_id: str
    rule: str
    device: str | None
    tag: str | None
    series: str
    level: AlertLevel
    state: State
    value: float | None
    threshold: float | None
    fired_at: datetime
    resolved_at: datetime | None
    message: str
    group_key: str
    seq: int
    url: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON: moments as ``2026-03-01T12:00:00.000000Z``, numbers that JSON lacks as null, and
        ``version`` 1, which changes when a field is renamed or means something else.
        """
        return {
            **asdict(self),
            "version": VERSION,
            "value": _number(self.value),
            "threshold": _number(self.threshold),
            "fired_at": written(self.fired_at),
            "resolved_at": written(self.resolved_at) if self.resolved_at else None,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Message:
        """What ``to_dict`` gave. Raises ValueError for anything else."""
        try:
            given = {key: value for key, value in content.items() if key != "version"}
            resolved = given.pop("resolved_at")
            given["fired_at"] = datetime.fromisoformat(given["fired_at"])
            given["level"] = AlertLevel(given["level"])
            given["state"] = State(given["state"])
            return cls(resolved_at=datetime.fromisoformat(resolved) if resolved else None, **given)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no message: {error!r}") from None


class Sink(Protocol):
    """Where messages go. One is made for each call, so it keeps nothing open."""

    def send(self, messages: Sequence[Message]) -> str:
        """Send messages of one group, together and in order. Returns an empty text, or who of
        several receivers was left out and why.

        Raises SinkRefused when trying again is no use, SinkUnavailable when it may be.
        """


def key_of(messages: Sequence[Message]) -> str:
    """The name of these messages together, the same whenever they are sent: 32 hex digits."""
    names = "\n".join(f"{message.alert_id} {message.seq}" for message in messages)
    return hashlib.sha256(names.encode()).hexdigest()[:32]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
