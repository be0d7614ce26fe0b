"""Tiered tables: what the archive and the bridge need to know of a table, whoever owns it.

A table is declared by this project (``tables``) or by one line in ``gateway.toml``; a line's table
may be in any SQLite file and is tiered in place.

``registry``   the lines of ``gateway.toml`` and ``tables.toml``
``times``      how a moment is written in a column, and which days a text or number belongs to
``fields``     columns as both tiers know them, by an id that outlives their names
``reflect``    what SQLite says about a table
``described``  a table read through a view that adds columns of others
``guess``      kinds and time formats from the first and last rows
``drift``      what became of the columns since the last archived file
``tiered``     one table with all of that, ready to be archived or asked
``built_in``   lines of this project's own other databases
``catalog``    every declared table by name; opening its database
"""
