"""One table, two tiers: hot SQLite rows and cold Parquet files answer as one relation.

Promise: an answer is complete or an error. A query reads the manifest and the hot rows in one
SQLite transaction, so it sees one consistent state while archiving goes on.

``bridge``    UnifiedQueryBridge: SQL over the declared tables
``scans``     which columns and which time a statement needs of each table
``tiers``     the hot rows and the cold files that together are a table at one moment
``views``     both tiers as one view, columns matched by their ids
``guard``     what SQL is let through, and a DuckDB that can touch nothing else
``reconcile`` whether every loaded row is answered exactly once
``overview``  what stands where: rows, bytes, days of every table
"""
