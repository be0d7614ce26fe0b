"""What the registry was: changes that snapshots find, and its logs where they can be archived.

Promise: every state that a snapshot saw can be asked for, whichever tier its rows are in. Only
changes are kept; the state of a moment is the newest row of everything up to it.

``take``    a snapshot: what differs from the newest rows lands
``as_of``   the registry at any moment, and what changed
``mirror``  logs of a registry in PostgreSQL, copied to where the archive can take them
``copied``  the tables of that copy, and rows as SQLite holds them
``late``    rows of the copy that were archived, and changed afterwards
"""
