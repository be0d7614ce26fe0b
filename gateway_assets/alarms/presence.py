"""Which devices are there: Online while points of theirs come, Offline when they are silent.

Silence is longer than ``device_offline_seconds`` and than three scans of its slowest tag. A device
that never sent a point stays Unknown; Maintenance and Error stay until somebody says otherwise.
Several gateways may share a registry: what another one has seen of a device counts, too.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway_assets.alarms.scope import LEAST_GAP_SCANS
from gateway_assets.registry.change_devices import Presence, note_presences
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.words import DeviceStatus
from gateway_assets.settings import Settings

_WRITTEN_AT_ONCE = 1_000  # others wait for the write lock meanwhile
# How far ``last_seen`` may be behind, as a part of ``device_offline_seconds``: not each point is
# worth a write, and other gateways judge the device by it.
_BEHIND = 1 / 5
_TOLD_BY_POINTS = {DeviceStatus.ONLINE, DeviceStatus.OFFLINE, DeviceStatus.UNKNOWN}


def renew_presences(
    settings: Settings, registry: Registry, points: sqlite3.Connection, now: int | None = None
) -> int:
    """Bring ``status`` and ``last_seen`` of all devices up to ``now`` (ns since 1970); gives how
    many were written. Points of later than now tell nothing. Raises RegistryError and others as
    ``Registry`` does.
    """
    moment = time.time_ns() if now is None else now
    newest = _newest(points, moment)
    with registry.reading() as session:
        noted = _to_note(session, settings, newest, _datetime(moment))
    for start in range(0, len(noted), _WRITTEN_AT_ONCE):
        with registry.writing() as session:
            note_presences(session, noted[start : start + _WRITTEN_AT_ONCE])
    return len(noted)


def _newest(points: sqlite3.Connection, now: int) -> dict[str, datetime]:
    """When the last point came, by the name that it has for its device, as rules compare it."""
    found: dict[str, int] = {}
    rows = points.execute(
        "SELECT device, (SELECT max(time) FROM points"
        " WHERE points.series = series.id AND time <= ?)"
        " FROM series WHERE device IS NOT NULL",
        (now,),
    )
    for device, last in rows:
        if last is not None:
            found[device.lower()] = max(last, found.get(device.lower(), last))
    return {device: _datetime(last) for device, last in found.items()}


def _to_note(
    session: Session, settings: Settings, newest: dict[str, datetime], now: datetime
) -> list[Presence]:
    scans = (
        select(Tag.device_id, func.max(Tag.scan_rate))
        .where(Tag.deleted_at.is_(None), Tag.enabled, Tag.scan_rate.is_not(None))
        .group_by(Tag.device_id)
    )
    slowest = {device: scan or 0 for device, scan in session.execute(scans)}
    devices = select(Device.id, Device.name, Device.status, Device.last_seen)
    offline = timedelta(seconds=settings.device_offline_seconds)
    noted = []
    # Always in this order: two gateways never wait in a circle.
    for id_, name, was, before in session.execute(
        devices.where(Device.deleted_at.is_(None)).order_by(Device.id)
    ):
        times = [newest.get(name.lower()), newest.get(id_), before]
        seen = max((one for one in times if one is not None), default=None)
        if seen is None:
            continue
        missed = timedelta(milliseconds=LEAST_GAP_SCANS * slowest.get(id_, 0))
        longest = max(offline, missed)
        is_there = now - seen <= longest
        status = DeviceStatus.ONLINE if is_there else DeviceStatus.OFFLINE
        if was not in _TOLD_BY_POINTS:
            status = was
        if status is not was or before is None or seen - before >= offline * _BEHIND:
            noted.append(Presence(id_, was, status, seen))
    return noted


def _datetime(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1_000)
