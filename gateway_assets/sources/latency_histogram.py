"""How long queries took, in logarithmic buckets: the percentiles of any set of rows are true.

Bucket b holds latencies from 1.0202^b to 1.0202^(b+1) milliseconds, so a percentile is exact to
2 per cent. All buckets of five minutes are one text, see ``starrocks.histogram``: a row for each
would repeat time and cluster hundreds of times. From the audit log table, minutes after they are
closed.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="latency_histogram",
    version=1,
    about="Latencies of a StarRocks cluster's queries in logarithmic buckets, five minutes a row.",
    columns=(
        Column("time", Kind.TIME, "Start of the five minutes, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("queries", Kind.INTEGER, "Queries that succeeded in this time", summed=True),
        Column(
            "buckets",
            Kind.TEXT,
            'Queries by bucket, in runs: `{"98":[3,0,12]}` is 3 in bucket 98 and 12 in bucket 100',
        ),
    ),
)
