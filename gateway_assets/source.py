"""The contract of a source: a name, a schema version, and the columns of its raw rows.

One name runs through everything: the module in ``sources/``, the folder under ``landing/``, the
hot table, the Dagster asset and the row in the README are all called ``Source.name``.

A new version only appends columns that may be NULL, so that files and tables of older ones stay
readable.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway_assets.model import Column


class Source(NamedTuple):
    name: str
    version: int
    columns: tuple[Column, ...]
    about: str
    is_private: bool = False  # rows hold what people wrote: files are for owner and group only

    @property
    def summed(self) -> tuple[str, ...]:
        """The columns whose totals the footer of every landing file carries."""
        return tuple(column.name for column in self.columns if column.summed)
