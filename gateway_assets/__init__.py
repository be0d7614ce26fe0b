"""gateway_assets: one box's telemetry, collected, rolled up, tiered and queryable.

The flow, in the order the data takes; each stage is a package of its own:

    capture ──► landing files ──► hot tables ──► roll-ups ──► Parquet archive
    (capture)      (files)          (hot)        (rollups)      (archive)
                                      │                             │
                                      └──────────► bridge ◄─────────┘
                                                   one table, two tiers

``sources`` and ``tables`` declare what flows; ``defs`` are Dagster's door to the stages, ``cli``
the command line's. Imports go from the end of the flow to its beginning, never back.
"""

__version__ = "0.1.0"
