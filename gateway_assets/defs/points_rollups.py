"""Roll-ups of points: four assets that one step makes, one partition a UTC day.

Whoever materializes a day has it computed again from its points, marked or not; the schedule asks
for the hours that are marked. Points may be of any time; days before the first partition are taken
with it, and those after today with today.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import OWNERS, blocking_check, daily_partitions
from gateway_assets.defs.points import POINTS, POOL
from gateway_assets.defs.rollups import GROUP
from gateway_assets.errors import Busy
from gateway_assets.points.levels import LEVELS, Level
from gateway_assets.points.schema import open_points
from gateway_assets.points.states import COLUMNS
from gateway_assets.settings import Settings

if TYPE_CHECKING:
    from gateway_assets.points.compare import Counted
    from gateway_assets.points.refresh import Refreshed

ROLLUPS = tuple(level.table for level in LEVELS)
CHECK = "counts_equal_points"
ONLY_MARKED = "gateway/only_marked"  # tag of a run that the schedule asked for
CHECKED_DAYS = 7  # of a run, the newest: counting a day reads its buckets
_FOREVER = 2**40  # days
_ABOUT = {
    "1m": "Points by series and minute, as states that merge.",
    "5m": "Points by series and five minutes, from minutes.",
    "1h": "Points by series and hour, from five minutes.",
    "1d": "Points by series and UTC day, from hours.",
}


def points_rollups(settings: Settings) -> dg.AssetsDefinition:
    """Brings the days of its partitions up to date, on all levels at once."""

    @dg.multi_asset(
        name="roll_up_points",
        specs=list(_specs(settings)),
        check_specs=[
            blocking_check(
                CHECK, name, "The buckets of a day count as many points, good and bad, as it has."
            )
            for name in ROLLUPS
        ],
        pool=POOL,
        partitions_def=daily_partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def rolled_up(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        days = [clock.parse_day(key) for key in context.partition_keys]
        try:
            done, found = _rolled_up(settings, days, again=ONLY_MARKED not in context.run.tags)
        except Busy as error:
            context.log.info(f"left to the other process: {error.message}")
            return
        for name in ROLLUPS:
            if dg.AssetKey(name) in context.selected_asset_keys:
                yield _result(context, name, done, found)

    return rolled_up


def _specs(settings: Settings) -> Iterator[dg.AssetSpec]:
    below = POINTS
    for level in LEVELS:
        yield dg.AssetSpec(
            level.table,
            deps=[below],
            group_name=GROUP,
            kinds={"sqlite"},
            owners=OWNERS,
            description=_ABOUT[level.name],
            metadata=_metadata(level, settings),
        )
        below = level.table


def _metadata(level: Level, settings: Settings) -> dict[str, Any]:
    columns = [dg.TableColumn(name, type=kind.lower()) for name, kind in COLUMNS]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": level.table,
        "dagster/uri": str(settings.points_database),
    }


def _rolled_up(
    settings: Settings, days: Sequence[int], *, again: bool
) -> "tuple[Refreshed, list[Counted]]":
    from gateway_assets.points.again import mark_again
    from gateway_assets.points.compare import counted
    from gateway_assets.points.refresh import refresh

    with open_points(settings.points_database) as connection:
        if again:
            mark_again(connection, settings, days)
        done = refresh(connection, settings, days=_range(settings, days))
        return done, counted(connection, days[-CHECKED_DAYS:])


def _range(settings: Settings, days: Sequence[int]) -> tuple[int, int]:
    """The days ``[first, end)``, with all that have no partition before or after them."""
    is_first = days[0] == clock.parse_day(settings.first_day.isoformat())
    is_today = days[-1] >= clock.day_of(clock.now())
    return -_FOREVER if is_first else days[0], _FOREVER if is_today else days[-1] + 1


def _result(
    context: dg.AssetExecutionContext, name: str, done: "Refreshed", found: "list[Counted]"
) -> dg.MaterializeResult:
    for day in found:
        context.add_asset_metadata(
            {"dagster/partition_row_count": day.buckets[name]},
            asset_key=dg.AssetKey(name),
            partition_key=clock.day_text(day.day),
        )
    differing = [clock.day_text(one.day) for one in found if one.rolled_up[name] != one.points]
    figures: dict[str, Any] = {
        "days": len(found),
        "points": sum(one.points for one in found),
        "rolled_up": sum(one.rolled_up[name] for one in found),
        "differing": differing,
    }
    return dg.MaterializeResult(
        name,
        metadata=done._asdict(),
        check_results=[
            dg.AssetCheckResult(
                asset_key=name, check_name=CHECK, passed=not differing, metadata=figures
            )
        ],
    )
