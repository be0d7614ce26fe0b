"""What is sent next, claimed so that nobody else sends it, and what became of it.

A batch is the notifications of one channel and group that go out in one call. Once it was tried it
stays the same until it is SENT or DEAD, and its group waits for it. So an attempt that is made
again, by whomever, has the same key, and no step of an alert overtakes an earlier one. A claim is
``attempts`` counted up and ``due_at`` set to the moment from which the claimer must be dead; it is
made in one short transaction, and nothing is locked while something is sent.

``notify_per_hour`` counts batches. What exceeds it is DROPPED; ``sent_at`` of a DROPPED row says
when a summary told of it, at most one an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CursorResult, func, select, update
from sqlalchemy.orm import Session

from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.alerts import Channel, Notice
from gateway_assets.registry.words import AlertLevel, NoticeStatus
from gateway_assets.settings import Settings

HOUR = timedelta(hours=1)
MOST_TOGETHER = 100
MOST_HELD_BACK = 10_000
FIRST_RETRY = 30.0
LONGEST_RETRY = 3600.0
LEASE = timedelta(seconds=90)  # longer than any call may take
_IS_UNTOLD = (Notice.status == NoticeStatus.DROPPED) & Notice.sent_at.is_(None)
_NO_ANSWER = "every attempt ended without an answer: its process was stopped or killed"


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed notifications. A summary tells of those that were held back, in one message."""

    channel: Channel
    notices: Sequence[Notice]
    attempts: int
    is_summary: bool = False

    @property
    def messages(self) -> list[Message]:
        """Raises ValueError when a payload is no message."""
        told = [Message.from_dict(notice.payload) for notice in self.notices]
        return [_summary_of(self.notices, told)] if self.is_summary else told


class Taken(NamedTuple):
    """A batch, if there is one, and how many notifications became DROPPED and DEAD instead."""

    batch: Batch | None
    dropped: int = 0
    dead: int = 0


def due_channels(session: Session, now: datetime) -> list[str]:
    """Ids of enabled channels that have something to be done."""
    query = (
        select(Channel.id)
        .join(Notice, Notice.config_id == Channel.id)
        .where(Channel.enabled, Notice.due_at <= now, _is_open())
        .distinct()
    )
    return list(session.scalars(query))


def take(session: Session, channel_id: str, now: datetime, settings: Settings) -> Taken:
    """Claim the next batch of a channel. The transaction must write, and commit before the call."""
    channel = session.scalar(
        select(Channel)
        .where(Channel.id == channel_id, Channel.enabled)
        # Who claims holds the channel, so two never make a batch each of one group. Keys stay free,
        # so that notifications can be written meanwhile.
        .with_for_update(key_share=True, skip_locked=True)
    )
    if channel is None:
        return Taken(None)
    dropped = 0
    group = _next_group(session, channel_id, now)
    is_new = group is not None and not _attempted(session, channel_id, group)
    if is_new and _used(session, channel_id, now) >= settings.notify_per_hour:
        dropped = _drop(session, channel_id, now, settings)
        group = _next_group(session, channel_id, now)
    if group is not None:
        notices = _attempted(session, channel_id, group) or _fresh(session, channel_id, group)
    else:
        notices = _held_back(session, channel_id, now)
    if not notices:
        return Taken(None, dropped)
    if notices[0].attempts >= settings.notify_attempts:
        for notice in notices:
            notice.status = NoticeStatus.DEAD
            notice.last_error = notice.last_error or _NO_ANSWER
        return Taken(None, dropped, len(notices))
    for notice in notices:
        notice.attempts += 1
        notice.due_at = now + LEASE
    return Taken(Batch(channel, notices, notices[0].attempts, is_summary=group is None), dropped)


def mark_sent(session: Session, batch: Batch, now: datetime, note: str) -> int:
    """The receiver has taken them, also where somebody else claimed them since. How many."""
    if batch.is_summary:
        number = _count(session, _of(batch).values(sent_at=now))
        later = update(Notice).where(_untold(batch.channel.id)).values(due_at=now + HOUR)
        session.execute(later)
        return number
    sent = _of(batch).values(status=NoticeStatus.SENT, sent_at=now, last_error=note or None)
    return _count(session, sent)


def mark_dead(session: Session, batch: Batch, error: str) -> int:
    """Nothing more is tried, unless a person says so. How many."""
    statement = _of(batch).where(Notice.attempts == batch.attempts)
    return _count(session, statement.values(status=NoticeStatus.DEAD, last_error=error))


def mark_failed(session: Session, batch: Batch, due_at: datetime, error: str) -> int:
    """To be tried again at ``due_at``. How many."""
    statement = _of(batch).where(Notice.attempts == batch.attempts)
    return _count(session, statement.values(due_at=due_at, last_error=error))


def mark_unreadable(session: Session, batch: Batch) -> int:
    """Payloads that are no messages are DEAD; the others are free to go on. How many are DEAD."""
    bad = []
    for notice in batch.notices:
        try:
            Message.from_dict(notice.payload)
        except ValueError as error:
            bad.append(notice.id)
            session.execute(
                update(Notice)
                .where(Notice.id == notice.id)
                .values(status=NoticeStatus.DEAD, last_error=str(error))
            )
    rest = _of(batch).where(Notice.id.not_in(bad), Notice.attempts == batch.attempts)
    session.execute(rest.values(attempts=batch.attempts - 1, due_at=Notice.created_at))
    return len(bad)


def retry_in(attempts: int, retry_after: float | None, random: Callable[[], float]) -> timedelta:
    """How long to wait: doubled with each attempt up to an hour, up to half of it less by chance,
    so that all that failed together do not come again together; what the receiver asks for, if
    that is longer.
    """
    delay = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=max(delay * (1 - random() / 2), retry_after or 0.0))


def waiting(session: Session) -> int:
    """Notifications that are neither sent nor given up."""
    query = select(func.count()).where(Notice.status == NoticeStatus.PENDING)
    return session.scalar(query) or 0


def _is_open() -> ColumnElement[bool]:
    return (Notice.status == NoticeStatus.PENDING) | _IS_UNTOLD


def _untold(channel_id: str) -> ColumnElement[bool]:
    return _IS_UNTOLD & (Notice.config_id == channel_id)


def _pending(channel_id: str) -> ColumnElement[bool]:
    return (Notice.status == NoticeStatus.PENDING) & (Notice.config_id == channel_id)


def _next_group(session: Session, channel_id: str, now: datetime) -> str | None:
    """The group that is due for longest, but none whose last attempt runs or waits."""
    busy = select(Notice.group_key).where(
        _pending(channel_id), Notice.attempts > 0, Notice.due_at > now
    )
    query = (
        select(Notice.group_key)
        .where(_pending(channel_id), Notice.due_at <= now, Notice.group_key.not_in(busy))
        .order_by(Notice.due_at, Notice.id)
        .limit(1)
    )
    return session.scalar(query)


def _attempted(session: Session, channel_id: str, group: str) -> Sequence[Notice]:
    query = select(Notice).where(
        _pending(channel_id), Notice.group_key == group, Notice.attempts > 0
    )
    return session.scalars(query.order_by(Notice.id)).all()


def _fresh(session: Session, channel_id: str, group: str) -> Sequence[Notice]:
    """All of the group, also what came a moment ago: it is why the first has waited."""
    query = select(Notice).where(_pending(channel_id), Notice.group_key == group)
    return session.scalars(query.order_by(Notice.id).limit(MOST_TOGETHER)).all()


def _held_back(session: Session, channel_id: str, now: datetime) -> Sequence[Notice]:
    query = select(Notice).where(_untold(channel_id)).order_by(Notice.id)
    tried = session.scalars(query.where(Notice.attempts > 0)).all()
    if tried:
        return tried if tried[0].due_at <= now else []
    found = session.scalars(query.limit(MOST_HELD_BACK)).all()
    return found if any(notice.due_at <= now for notice in found) else []


def _used(session: Session, channel_id: str, now: datetime) -> int:
    """Batches that the channel got within the hour, and those that are on their way."""
    sent = (
        select(Notice.group_key, Notice.sent_at)
        .where(
            Notice.config_id == channel_id,
            Notice.status == NoticeStatus.SENT,
            Notice.sent_at > now - HOUR,
        )
        .distinct()
    )
    tried = select(Notice.group_key).where(_pending(channel_id), Notice.attempts > 0).distinct()
    counts = (select(func.count()).select_from(each.subquery()) for each in (sent, tried))
    return sum(session.scalar(count) or 0 for count in counts)


def _drop(session: Session, channel_id: str, now: datetime, settings: Settings) -> int:
    """Hold back what is due and was not tried. A summary of it waits like any other message, and
    for the hour of the last one.
    """
    told = session.scalar(
        select(func.max(Notice.sent_at)).where(
            Notice.config_id == channel_id, Notice.status == NoticeStatus.DROPPED
        )
    )
    summary_at = now + timedelta(seconds=settings.notify_group_seconds)
    statement = (
        update(Notice)
        .where(_pending(channel_id), Notice.attempts == 0, Notice.due_at <= now)
        .values(
            status=NoticeStatus.DROPPED,
            due_at=max(summary_at, told + HOUR) if told else summary_at,
            last_error=f"more than {settings.notify_per_hour} messages in an hour",
        )
    )
    return _count(session, statement)


def _summary_of(notices: Sequence[Notice], told: Sequence[Message]) -> Message:
    levels = Counter(message.level for message in told)
    listed = ", ".join(f"{levels[one]} {one}" for one in reversed(AlertLevel) if levels[one])
    return Message(
        alert_id=f"held-back-{notices[0].id}",
        rule=f"{len(told)} more notifications were held back",
        device=None,
        tag=None,
        series="",
        level=max(levels, key=list(AlertLevel).index),
        state=State.HELD_BACK,
        value=None,
        threshold=None,
        fired_at=min(message.fired_at for message in told),
        resolved_at=None,
        message=f"{listed}; see: gateway notifications list --status DROPPED",
        group_key="held-back",
        seq=len(told),
    )


def _of(batch: Batch) -> Any:
    ids = [notice.id for notice in batch.notices]
    return update(Notice).where(Notice.id.in_(ids), _is_open())


def _count(session: Session, statement: Any) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount
