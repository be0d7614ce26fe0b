"""``gateway notifications``: what people are told of alarms, on its way and arrived."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import select

from gateway_assets.cli.show import as_json, print_grid, print_json
from gateway_assets.errors import UsageError
from gateway_assets.notify.channels import sink_of
from gateway_assets.notify.deliver import deliver as deliver_due
from gateway_assets.notify.outbox import requeue
from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.alerts import Channel, Notice
from gateway_assets.registry.audit import record, this_host
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.words import AlertLevel, NoticeStatus
from gateway_assets.settings import Settings


@click.group()
def notifications() -> None:
    """Notifications of alarms: by webhook, e-mail or log; see docs/notifications.md."""


@notifications.command("list")
@click.option("--status", type=click.Choice([str(one) for one in NoticeStatus]), help="Only these.")
@click.option("--channel", help="Only those of this channel.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most.")
@as_json
@click.pass_obj
def list_(
    settings: Settings, status: str | None, channel: str | None, limit: int, as_json: bool
) -> None:
    """List notifications, the newest first.

    \b
    Examples:
      gateway notifications list
      gateway notifications list --status DEAD --json
    """
    query = (
        select(Notice, Channel.name)
        .join(Channel, Channel.id == Notice.config_id)
        .order_by(Notice.id.desc())
        .limit(limit)
    )
    if status:
        query = query.where(Notice.status == NoticeStatus(status))
    with opened_registry(settings) as registry, registry.reading() as session:
        if channel:
            query = query.where(Notice.config_id == _channel(registry, channel).id)
        rows = [_listed(notice, name) for notice, name in session.execute(query)]
    print_json(rows) if as_json else print_grid([_short(row) for row in rows])


@notifications.command()
@as_json
@click.pass_obj
def deliver(settings: Settings, as_json: bool) -> None:
    """Send what is due, once. What fails is tried again later, by this command or the service.

    \b
    Examples:
      gateway notifications deliver
      gateway notifications deliver --json | jq .waiting
    """
    with opened_registry(settings) as registry:
        done = deliver_due(registry, settings)
    if as_json:
        print_json(done._asdict())
        return
    click.echo(
        f"{done.sent:,} sent, {done.failed:,} failed and to be tried again, {done.dead:,} given "
        f"up, {done.dropped:,} held back, {done.waiting:,} waiting"
    )
    if done.dead:
        click.echo("  see: gateway notifications list --status DEAD", err=True)


@notifications.command()
@click.argument("ids", type=click.IntRange(1, 2**63 - 1), nargs=-1)
@click.option("--all", "all_dead", is_flag=True, help="All that are DEAD.")
@as_json
@click.pass_obj
def retry(settings: Settings, ids: tuple[int, ...], all_dead: bool, as_json: bool) -> None:
    """Give notifications that are DEAD as many attempts again, by their IDS.

    \b
    Examples:
      gateway notifications retry 17 18 && gateway notifications deliver
      gateway notifications retry --all
    """
    if bool(ids) == all_dead:
        raise UsageError("name either IDS or --all", hint="gateway notifications list")
    with opened_registry(settings) as registry, registry.writing() as session:
        number = requeue(session, datetime.now(UTC), None if all_dead else ids)
        details = {"ids": list(ids), "requeued": number}
        record(session, this_host(), "notification.retry", kind="notifications", details=details)
    if as_json:
        print_json({"requeued": number})
    else:
        click.echo(f"{number:,} will be tried again; now: gateway notifications deliver")


@notifications.command()
@click.argument("channel")
@as_json
@click.pass_obj
def test(settings: Settings, channel: str, as_json: bool) -> None:
    """Send a message to CHANNEL, also when it is not enabled, and say whether it was taken.

    \b
    Examples:
      gateway notifications test operators
    """
    with opened_registry(settings) as registry:
        found = _channel(registry, channel)
    note = sink_of(found, settings).send([_trial()])
    if as_json:
        print_json({"channel": channel, "sent": True, "note": note})
    else:
        click.echo(f"{channel}: taken{f', {note}' if note else ''}")


def _channel(registry: Registry, name: str) -> Channel:
    with registry.reading() as session:
        names = {channel.name: channel for channel in session.scalars(select(Channel))}
    if name not in names:
        known = ", ".join(sorted(names)) or "none yet"
        raise UsageError(f"there is no channel {name!r}", hint=f"channels: {known}")
    return names[name]


def _trial() -> Message:
    moment = datetime.now(UTC)
    return Message(
        alert_id=f"test-{moment:%Y%m%dT%H%M%S%f}",
        rule="Test",
        device=None,
        tag=None,
        series="",
        level=AlertLevel.INFO,
        state=State.TEST,
        value=None,
        threshold=None,
        fired_at=moment,
        resolved_at=None,
        message="Notifications of this gateway arrive here.",
        group_key="test",
        seq=1,
    )


def _listed(notice: Notice, channel: str) -> dict[str, Any]:
    return {
        "id": notice.id,
        "channel": channel,
        "status": notice.status,
        "attempts": notice.attempts,
        "created_at": notice.created_at,
        "due_at": notice.due_at if notice.status == NoticeStatus.PENDING else None,
        "sent_at": notice.sent_at,
        "series": notice.series,
        "seq": notice.seq,
        "last_error": notice.last_error,
        "message": notice.payload,
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    message = row["message"] if isinstance(row["message"], dict) else {}
    told = ("state", "level", "rule", "device", "tag")
    kept = ("id", "channel", "status", "attempts")
    return {
        **{name: row[name] for name in kept},
        **{name: message.get(name) for name in told},
        "sent": row["sent_at"],
        "error": row["last_error"],
    }
