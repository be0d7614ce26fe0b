"""The registry: devices, tags, alert rules, alerts, users. SQLite by default, PostgreSQL by URL.

Promise: one model for both databases; a change of it is a migration that keeps what is there. What
history speaks of is never removed by removing something else.

``words``       the words that columns may hold
``types``       columns that the two databases store in different ways
``model``       what every table shares
``devices``     devices, tags, drivers
``alerts``      rules, alerts, their steps, notifications
``users``       users, sessions, tokens, the audit
``audit``       the log of what was done and what was refused
``database``    opening it, transactions, its refusals as errors
``upgrade``     migrations: which there are, and applying them
``opened``      the registry as commands and services open it
``snapshot``    all rows of one instant, for its history
``overview``    where it stands: migrations, rows, size
``entries``     what may be said of a device, a tag, a rule, a channel, a driver
``durations``   durations as people write them
``cells``       a text as the value of a field
``find``        rows by id or name, and the nearest name
``hidden``      values without secrets
``change``      what every change has in common
``change_devices``, ``change_tags``, ``change_rules``, ``change_channels``, ``change_drivers``
                adding, editing, deleting, restoring, listing
``tags_of``     the tag that a point belongs to
``document``    devices, tags, rules and channels as one document
``yaml_text``   reading and writing YAML within limits
``csv_text``    the same of CSV
``contents``    what a registry holds that a document may speak of
``importing``   what a document would change, and doing that
``exporting``   the registry as a document
``demo``        a small plant to try it on
``migrations``  the migrations themselves
"""
