"""Messages in plain words, for people who read a mail on a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.words import AlertLevel

_LEVELS = list(AlertLevel)
_LONGEST_SUBJECT = 200


def subject_of(messages: Sequence[Message]) -> str:
    """One line, without a control character, whatever names of rules and devices hold."""
    worst = max((message.level for message in messages), key=_LEVELS.index)
    first = messages[0]
    text = f"[{worst}] {first.state} {_headline(first)}"
    if len(messages) > 1:
        text = f"[{worst}] {len(messages)} notifications: {_one_line(first.rule)}"
    return text[:_LONGEST_SUBJECT]


def text_of(messages: Sequence[Message]) -> str:
    """A paragraph a message."""
    return "\n\n".join("\n".join(_lines(message)) for message in messages) + "\n"


def _lines(message: Message) -> list[str]:
    lines = [f"{message.state} {message.level} {_headline(message)}{_value(message)}"]
    if message.state not in {State.HELD_BACK, State.TEST}:
        until = f", resolved {_moment(message.resolved_at)}" if message.resolved_at else ""
        lines.append(f"  since {_moment(message.fired_at)}{until}")
    if message.message:
        lines.append(f"  {_one_line(message.message)}")
    if message.url:
        lines.append(f"  {_one_line(message.url)}")
    return lines


def _headline(message: Message) -> str:
    place = " ".join(name for name in (message.device, message.tag) if name)
    return _one_line(f"{message.rule}: {place or message.series}".rstrip(": "))


def _value(message: Message) -> str:
    if message.value is None:
        return ""
    limit = f" (threshold {message.threshold:g})" if message.threshold is not None else ""
    return f" {message.value:g}{limit}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
