"""One table, two tiers: hot SQLite rows and cold Parquet files answer as one relation.

Promise: an answer is complete or an error. A query reads the manifest and the hot rows in one
SQLite transaction, so it sees one consistent state while archiving goes on.

``bridge``     UnifiedQueryBridge: questions in Python and in SQL

Questions about one table:

``where``      conditions on columns, in Python
``dialects``   the same as SQL for SQLite and for DuckDB, with equal meaning
``question``   what is asked, checked against the columns of a table
``lookup``     hot rows first, then no more files than needed
``nearest``    the first hot rows by time where no index gives them
``answer``     rows as dicts, Arrow or pandas; where the next page begins

SQL:

``statement``  which tables are meant, what is needed of each, the answer
``derived``    views of points under other systems' names and columns
``scans``      which columns and which ranges of values a statement needs
``guard``      one statement that reads, nothing else
``allowed``    what such a statement may name: tables and functions
``macros``     functions for time series
``connect``    the views in a DuckDB connection of somebody's own

What both stand on:

``databases``  SQLite files kept open, and what is known of their tables at one moment
``index``      the live files of a table: which may hold what is asked for
``ranges``     what a condition says about the values of one column
``tiers``      the hot rows and the cold files that together are a table at one moment
``views``      both tiers as views, columns matched by their ids
``engine``     DuckDB, opened once and locked
``cache``      answers from archived rows alone, kept for a while
``patience``   asking again when a file was replaced meanwhile
``failures``   whose fault it is that there is no answer
``explain``    how an answer came about

A process of its own:

``sandbox``    a few warm children that answer statements of anybody
``child``      one of them, seen from its parent
``worker``     one of them, seen from inside: limits, then answers
``wire``       what goes over the pipes between them
``bounded``    an answer that is read no further than it may be long
``spill``      where a statement may put what does not fit into memory

Looking at the whole:

``reconcile``  whether every loaded row is answered exactly once
``overview``   what stands where: rows, bytes, days of every table
"""
