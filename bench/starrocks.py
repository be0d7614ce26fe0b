"""What looking at StarRocks clusters costs, each figure beside its target.

    tick      one tick of a simulated cluster of 3 FE + 20 BE: looked at, journalled, landed, loaded
    parse     a page of 5,000 lines, against prometheus_client's parser
    many      100 clusters of 3 FE + 10 BE at once
    storage   7 days of 3 FE + 10 BE, hot and in Parquet; a day is simulated first, in minutes
    daily     daily_snapshots of 100 clusters, one day of 2,880 ticks
    forecast  days until disks are full, against simpler ways, of histories whose end is known

The servers of ``tick`` and ``many`` run in a process of their own, which is not counted, but takes
one of the processors. CPU is user and system time of this process. A MB is 1,000,000 bytes.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable
from operator import truediv
from random import Random

from made_growth import HISTORIES, TOTAL, Points, least_squares, mean_of_seven
from prometheus_client.parser import text_string_to_metric_families
from side_by_side import Figures, aims, in_turns, print_heading, print_table, seconds
from starrocks_storage import daily, storage
from starrocks_ticks import many, tick

from gateway_assets.collect.series import WANTED
from gateway_assets.simulated import pages
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks.exposition import parse
from gateway_assets.starrocks.forecast import forecast

LINES, SEEDS, KNOWN = 5_000, 20, (30, 60)


def compare_parsers() -> None:
    """All names, and those that are wanted; values are compared first."""
    text = _page()
    names = frozenset(re.findall(r"^[a-zA-Z_:]\w*", text, re.MULTILINE))
    data = text.encode()
    read = parse(data, names)
    assert (read.bad_lines, read.conflicts) == (0, 0)
    ours = sorted(
        (name, sorted(labels.items()), str(float(value)))
        for name, series in read.series.items()
        for labels, value in series
    )
    theirs = sorted(
        # It gives counters names that are not on the page.
        (sample.name if sample.name in names else family.name, sorted(sample.labels.items()),
         str(float(sample.value)))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )  # fmt: skip
    assert ours == theirs

    def timed(work: Callable[[], object]) -> Callable[[], Figures]:
        return lambda: {"ms": 1000 * min(seconds(work) for _ in range(5))}

    found = in_turns(
        {
            "all names": timed(lambda: parse(data, names)),
            "names that are wanted": timed(lambda: parse(data, WANTED)),
            "prometheus_client": timed(lambda: list(text_string_to_metric_families(data.decode()))),
        },
        rounds=5,
    )
    base = found["prometheus_client"]["ms"]
    print_table(
        [f"{LINES:,} lines, {len(theirs):,} samples, {len(data) / 1000:.0f} kB", "ms", "faster"],
        [[name, f"{one['ms']:.1f}", f"{base / one['ms']:.1f} x"] for name, one in found.items()],
    )
    aims(
        ("all names, times faster", base / found["all names"]["ms"], ">=", 5),
        ("wanted names, times faster", base / found["names that are wanted"]["ms"], ">=", 5),
    )


def _page() -> str:
    """A frontend's page, each series again and again with one more label, family by family."""
    cluster = SimulatedCluster(3, 3, start=0)
    lines = pages.frontend_page(cluster.world, cluster.frontends[0], "", clean=True).splitlines()
    comments = sum(line.startswith("#") for line in lines)
    copies = (LINES - comments) // (len(lines) - comments)
    made, waiting = [], []
    for line in [*lines, "#"]:
        if line.startswith("#"):
            made += [_with_label(one, number) for number in range(copies) for one in waiting]
            made.append(line)
            waiting = []
        else:
            waiting.append(line)
    made = made[:-1]
    made += [f'starrocks_fe_padding{{number="{n}"}} {n}' for n in range(LINES - len(made))]
    return "\n".join(made) + "\n"


def _with_label(line: str, number: int) -> str:
    series, _, value = line.rpartition(" ")
    if series.endswith("}"):
        return f'{series[:-1]}, part="{number}"}} {value}'
    return f'{series}{{part="{number}"}} {value}'


def compare_forecasts() -> None:
    """Median error in days over ``SEEDS`` histories; a way that says never is wrong by all."""

    def theil_sen(points: Points, limit: float) -> float | None:
        days = forecast(points, limit).days
        return days.middle if days else None

    ways = {"ours": theil_sen, "mean of 7": mean_of_seven, "least squares": least_squares}
    rows, worst = [], dict.fromkeys(ways, 0.0)
    for days in KNOWN:
        for name, make in HISTORIES.items():
            histories = [make(days, Random(seed)) for seed in range(SEEDS)]
            truths = [history.truth for history in histories]
            cells = [str(days), f"{statistics.median(truths):.0f}"]
            for way, work in ways.items():
                told = [work(history.points, TOTAL) for history in histories]
                errors = [
                    truth if one is None else abs(one - truth)
                    for one, truth in zip(told, truths, strict=True)
                ]
                part = statistics.median(map(truediv, errors, truths))
                worst[way] = max(worst[way], part)
                cells.append("never" if None in told else f"{statistics.median(errors):.0f}")
                cells[-1] += f" ({part:.0%})"
            rows.append([name, *cells])
    print_table(["median error in days", "days known", "truth", *ways], rows)
    simpler = min(worst["mean of 7"], worst["least squares"])
    aims(
        ("worst error, part of the truth", worst["ours"], "<=", simpler),
    )


def main() -> None:
    parts: dict[str, Callable[[], None]] = {
        "tick": tick,
        "parse": compare_parsers,
        "many": many,
        "storage": storage,
        "daily": daily,
        "forecast": compare_forecasts,
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "what", nargs="*", default=list(parts), metavar="what", help=", ".join(parts)
    )
    asked = parser.parse_args()
    print_heading(__doc__, "prometheus_client", "pymysql", "pyarrow")
    for what in asked.what:
        parts[what]()


if __name__ == "__main__":
    main()
