"""``gateway write``, ``gateway series`` and ``gateway points``: time series by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import click
from pydantic import ValidationError

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.pictures import sparkline
from gateway_assets.cli.show import as_json, bar, print_grid, print_json
from gateway_assets.cli.spans import moment_ns, span
from gateway_assets.errors import UsageError
from gateway_assets.points.answer import Found, answer
from gateway_assets.points.fill import How
from gateway_assets.points.find import Series, find_series
from gateway_assets.points.load import Loader
from gateway_assets.points.payload import NANOSECONDS
from gateway_assets.points.query import Aggregation, TimeSeriesQuery
from gateway_assets.points.schema import open_points
from gateway_assets.points.spool import spool
from gateway_assets.settings import Settings

_SHOWN_REJECTS = 10
_AGGREGATIONS = [str(one) for one in Aggregation]
_FILLS = [str(one) for one in How]


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--precision",
    type=click.Choice(list(NANOSECONDS)),
    default="ns",
    show_default=True,
    help="Unit of the times in the lines.",
)
@click.option("--no-load", is_flag=True, help="Leave loading to Dagster or gateway load.")
@as_json
@click.pass_obj
def write(settings: Settings, file: BinaryIO, precision: str, no_load: bool, as_json: bool) -> None:
    """Write line protocol from a file or standard input, durable when the command ends.

    Lines that cannot be read are told with the reason and kept as rejects; all others count.
    Writing the same points again changes nothing.

    \b
    Examples:
      gateway write points.lp
      gateway write --precision s < export.lp
      echo 'room,device=t1 celsius=21.5' | gateway write
    """
    with bar("write") as progress:
        done = spool(settings, file, precision, progress)
    loaded = None
    if not no_load:
        with bar("load") as progress, open_points(settings.points_database) as connection:
            loaded = Loader(connection, settings).load(progress)
    if as_json:
        told = {"lines": done.lines, "rejects": [one._asdict() for one in done.rejects]}
        print_json(told | ({"loaded": loaded._asdict()} if loaded else {}))
        return
    click.echo(f"{done.lines:,} lines written in {done.seconds:.2f} s")
    if loaded:
        click.echo(f"{loaded.points:,} points loaded")
    for one in done.rejects[:_SHOWN_REJECTS]:
        click.echo(f"  line {one.number:,}: {one.reason}: {one.text[:100]}", err=True)
    if len(done.rejects) > _SHOWN_REJECTS:
        click.echo(f"  … and {len(done.rejects) - _SHOWN_REJECTS:,} more", err=True)
    if done.rejects:
        click.echo('  all of them: gateway query "FROM point_rejects"', err=True)


def _tags(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise click.BadParameter("a tag is written as key=value")
    return {key: value for key, _, value in pairs}


_measurement = click.option("--measurement", "-m", help="Measurement, such as cpu.")
_device = click.option("--device", "-d", help="Device: tag device_id, device or host.")
_metric = click.option("--metric", help="Metric, such as cpu.usage_user; see gateway series.")
_field = click.option("--field", "-f", help="Field, such as usage_user.")
_tag = click.option(
    "--tag", "-t", "tags", multiple=True, callback=_tags, help="Tag as key=value; repeatable."
)


@click.command()
@_measurement
@_device
@_metric
@_field
@_tag
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most.")
@as_json
@click.pass_obj
def series(settings: Settings, /, as_json: bool, **wanted: Any) -> None:
    """List series: what is measured, of which device, since when.

    \b
    Examples:
      gateway series
      gateway series --device pump-7
      gateway series -m cpu -t region=eu-west-1 --json
    """
    with open_points(settings.points_database) as connection:
        found = find_series(connection, **wanted)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    print_grid([_series_row(one) for one in found])
    if len(found) == wanted["limit"]:
        click.echo(f"the first {len(found)}; more with --limit", err=True)


def _series_row(one: Series) -> dict[str, Any]:
    return {
        "id": one.id,
        "metric": one.metric,
        "device": one.device,
        "type": one.type,
        "unit": one.unit,
        "tags": json.dumps(one.tags, ensure_ascii=False),
        "first seen": text_of(one.first_seen),
    }


@click.command()
@_measurement
@_device
@_metric
@_field
@_tag
@click.option("--from", "start", help="Begin: ISO 8601, UTC without a zone.  [default: --last]")
@click.option("--to", "end", help="End, not included.  [default: now]")
@click.option("--last", type=span, default="1h", show_default=True, help="Length: 90s, 6h, 7d.")
@click.option("--every", type=span, help="Length of a bucket; needs --agg.")
@click.option("--agg", type=click.Choice(_AGGREGATIONS), help="What becomes of a bucket.")
@click.option("--percentile", type=click.FloatRange(0, 100), help="For --agg percentile.")
@click.option("--fill", type=click.Choice(_FILLS), default="none", show_default=True)
@click.option("--max-gap", type=span, help="Fill no longer gaps than this.")
@click.option("--show", type=click.IntRange(3), help="Thin out to this many, keeping the shape.")
@click.option("--limit", type=click.IntRange(1), help="At most this many of each series.")
@click.option("--newest", is_flag=True, help="The newest first.")
@as_json
@click.pass_obj
def points(
    settings: Settings,
    /,
    start: str | None,
    end: str | None,
    last: int,
    every: int | None,
    max_gap: int | None,
    show: int | None,
    newest: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show points of a range of time, raw or in buckets, from whatever tier they are in.

    \b
    Examples:
      gateway points --device pump-7 --last 10m
      gateway points -m cpu -f usage_user --last 7d --every 1h --agg avg
      gateway points --metric room.celsius --from 2026-11-01 --to 2026-11-08 \\
                     --every 5m --agg avg --fill linear --max-gap 1h --json
      gateway points -d pump-7 --newest --limit 1
    """
    until = moment_ns(end) if end else clock.now() * 1000
    begin = moment_ns(start) if start else until - last * 10**9
    if every and not start:
        begin -= begin % (every * 10**9)  # whole buckets, which a roll-up answers
    question = _question(
        start=begin,
        end=until,
        aggregation=asked.pop("agg"),
        bucket=every * 10**9 if every else None,
        max_gap=max_gap * 10**9 if max_gap else None,
        points_shown=show,
        order="-time" if newest else "time",
        **asked,
    )
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        found = answer(connection, bridge, question)
    if as_json:
        print_json([_as_dict(one) for one in found])
        return
    if not found:
        click.echo("no points; which series there are: gateway series", err=True)
    for one in found:
        _print(one)


def _question(**given: Any) -> TimeSeriesQuery:
    try:
        return TimeSeriesQuery(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}",
            hint="gateway points --help",
        ) from None


def _print(found: Found) -> None:
    name = found.series.metric + (f" of {found.series.device}" if found.series.device else "")
    unit = f" [{found.series.unit}]" if found.series.unit else ""
    click.echo(f"{name}{unit} {json.dumps(found.series.tags, ensure_ascii=False)}")
    rows = [
        {"time": text_of(time), "value": value}
        for time, value in zip(found.times, found.values, strict=True)
    ]
    print_grid(rows)
    numbers = [value for value in found.values if not isinstance(value, str)]
    if len(numbers) > 2:
        click.echo(sparkline(numbers[:200]))


def _as_dict(found: Found) -> dict[str, Any]:
    plain = found._asdict()
    del plain["series"]
    return found.series._asdict() | plain


def text_of(moment: int) -> str:
    """Nanoseconds since 1970 as ISO 8601, with as many digits as there are."""
    seconds, rest = divmod(moment, 10**9)
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{whole:%Y-%m-%d %H:%M:%S}{fraction}"
