"""gateway_assets: one box's telemetry, collected, rolled up, tiered and queryable.

The flow, in the order the data takes; each stage is a package of its own:

    capture ──► landing files ──► hot tables ──► roll-ups ──► Parquet archive
    (capture)      (files)          (hot)        (rollups)      (archive)
                                      │                             │
                                      └──────────► bridge ◄─────────┘
                                                   one table, two tiers

    serve ──► frame logs ──► points ──► alarms ──► notifications
    (serve)    (frames)     (points)   (alarms)      (notify)

``registry`` holds devices, rules and users, ``accounts`` decides who may do what, ``history`` knows
the registry of any day, ``backups`` takes all of it; ``collect`` and ``clusters`` are about
StarRocks.

``sources`` and ``tables`` declare what flows; ``defs`` are Dagster's door to the stages, ``cli``
the command line's. Imports go from the end of the flow to its beginning, never back.
"""

__version__ = "0.1.0"
