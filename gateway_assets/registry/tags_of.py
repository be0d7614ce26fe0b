"""The tag that a point belongs to, and the numbers that make its raw value a value."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.find import is_living, look_up


class Numbers(NamedTuple):
    """Value = scaling * raw + offset, expected within low to high; dead band in its unit."""

    scaling: float
    offset: float
    low: float | None
    high: float | None
    deadband: float | None


def matching(session: Session, device: str, metric: str) -> Tag | None:
    """The living tag called ``metric`` of the living device of this id or name."""
    owner = look_up(session, select(Device).where(*is_living(Device)), Device, device, lock=False)
    if owner is None:
        return None
    tags = select(Tag).where(*is_living(Tag), Tag.device_id == owner.id)
    return look_up(session, tags, Tag, metric, lock=False)


def pipeline_tag(tag: Tag) -> Numbers:
    """What a tag says about its readings, under the names that the pipeline of points uses."""
    return Numbers(tag.scaling, tag.tag_offset, tag.min_value, tag.max_value, tag.deadband)
