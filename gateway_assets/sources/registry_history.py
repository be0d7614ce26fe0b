"""What changed in the registry from one snapshot to the next; nothing of what stayed as it was.

The rows of the first snapshot are all ``added``, so every later state is made of such changes, and
ten years of a registry that nobody touches take as much room as one day.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="registry_history",
    version=1,
    about="What changed in the registry, as snapshots found it: devices, tags, rules, users.",
    columns=(
        Column("time", Kind.TIME, "When the snapshot was taken, UTC"),
        Column("snapshot", Kind.INTEGER, "Number of the snapshot among those that found a change"),
        Column("entity", Kind.TEXT, "Table of the registry, such as devices"),
        Column("entity_id", Kind.TEXT, "Key of the row; several columns with / between"),
        Column("name", Kind.TEXT, "What the row is called, where it has a name", nullable=True),
        Column("change", Kind.TEXT, "added, changed or removed"),
        Column("content", Kind.TEXT, "The row as JSON, sorted; NULL: removed", nullable=True),
        Column("content_hash", Kind.TEXT, "SHA-256 of it, hexadecimal", nullable=True),
    ),
    is_private=True,
)
