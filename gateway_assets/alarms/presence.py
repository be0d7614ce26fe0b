"""Which devices are there: Online while points of theirs come, Offline when they are silent.

Silence is longer than ``device_offline_seconds`` and than three scans of its slowest tag. A device
that never sent a point stays Unknown; Maintenance and Error stay until somebody says otherwise.
Several gateways may share a registry: what another one has seen of a device counts, too.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway_assets.alarms.scope import LEAST_GAP_SCANS
from gateway_assets.registry.change_devices import note_presence
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.words import DeviceStatus
from gateway_assets.settings import Settings

# How far ``last_seen`` may be behind while a device is Online: not each point is worth a write.
# Below the least ``device_offline_seconds``, by which other gateways judge it.
_WRITTEN = timedelta(seconds=30)
_TOLD_BY_POINTS = {DeviceStatus.ONLINE, DeviceStatus.OFFLINE, DeviceStatus.UNKNOWN}


class _Noted(NamedTuple):
    """What is to be written of a device."""

    id: str
    was: DeviceStatus
    status: DeviceStatus
    seen: datetime


def note_presences(
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
    if noted:
        with registry.writing() as session:
            for one in sorted(noted):  # always in this order: two gateways never wait in a circle
                note_presence(session, *one)
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
) -> list[_Noted]:
    scans = (
        select(Tag.device_id, func.max(Tag.scan_rate))
        .where(Tag.deleted_at.is_(None), Tag.enabled, Tag.scan_rate.is_not(None))
        .group_by(Tag.device_id)
    )
    slowest = {device: scan or 0 for device, scan in session.execute(scans)}
    devices = select(Device.id, Device.name, Device.status, Device.last_seen)
    noted = []
    for id_, name, was, before in session.execute(devices.where(Device.deleted_at.is_(None))):
        times = [newest.get(name.lower()), newest.get(id_), before]
        seen = max((one for one in times if one is not None), default=None)
        if seen is None:
            continue
        missed = timedelta(milliseconds=LEAST_GAP_SCANS * slowest.get(id_, 0))
        longest = max(timedelta(seconds=settings.device_offline_seconds), missed)
        is_there = now - seen <= longest
        status = DeviceStatus.ONLINE if is_there else DeviceStatus.OFFLINE
        if was not in _TOLD_BY_POINTS:
            status = was
        if status is not was or before is None or seen - before >= _WRITTEN:
            noted.append(_Noted(id_, was, status, seen))
    return noted


def _datetime(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1_000)
