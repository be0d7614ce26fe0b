"""Answers of queries, printed. Heavy to load: see ``confined``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import click
import pyarrow as pa
import pyarrow.csv as pa_csv

from gateway_assets.bridge.statement import dicts_of
from gateway_assets.bridge.worker import answering, end_with, limit
from gateway_assets.cli.show import print_grid, print_json
from gateway_assets.errors import QueryError
from gateway_assets.settings import Settings

__all__ = ["end_with", "print_answer", "print_explained", "print_query"]


def print_query(
    settings: Settings, text: str, params: Sequence[str], form: str, timezone: str, explain: bool
) -> None:
    """Answer one statement within the limits of a worker, and print it."""
    answer = answering(settings, timezone, once=True)
    limit(settings)
    values = [value_of(one) for one in params]
    table, explained = answer(text, values, settings.query_max_rows)
    print_answer(table, form)
    if explain:
        print_explained(explained)


def value_of(text: str) -> Any:
    """A parameter as the number it may be, None for NULL, else as text."""
    if text.upper() == "NULL":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def print_answer(table: pa.Table, form: str) -> None:
    if form == "csv":
        write_csv(
            table.to_batches() or [table.schema.empty_table()], table.schema, sys.stdout.buffer
        )
        return
    rows = dicts_of(table)
    if form == "json":
        print_json(rows)
        return
    print_grid(rows)
    click.echo(f"({len(rows):,} rows)", err=True)


def print_explained(explained: dict[str, Any]) -> None:
    """To the error stream, so that the answer stays what it is."""
    for table in explained["tables"]:
        met = f" ({table['files_met']:,} of them again)" if table["files_met"] else ""
        click.echo(
            f"{table['table']}: {table['tier']}; {table['hot_rows']:,} hot rows read; "
            f"{table['files_opened']:,} of {table['files_known']:,} files opened{met}, with "
            f"{table['cold_rows']:,} rows; {table['counted']:,} rows counted by the manifest",
            err=True,
        )
    click.echo(
        f"{explained['ms']:,.1f} ms, {explained['planning_ms']:,.1f} of them planning and reading "
        f"hot rows; cache: {explained['cache']}",
        err=True,
    )


def write_csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: BinaryIO) -> int:
    """Rows as RFC 4180, with a line of names. Raises QueryError for what CSV has no form for."""
    rows = 0
    try:
        with pa_csv.CSVWriter(file, schema) as writer:
            for batch in batches:
                writer.write(batch)
                rows += batch.num_rows
    except pa.ArrowException as error:
        what = str(error).splitlines()[0]
        raise QueryError(f"the answer does not fit csv: {what}", hint="try: -f json") from None
    return rows
