"""Backups of everything, proven by being restored.

Promise: a backup appears whole or not at all, every part of it is as of a moment at which nothing
is lost between two parts, and none is called good that was not restored once.

``record``    what a backup is on disk: parts, sizes, hashes, when it was proven
``plan``      which databases and files belong to a data directory
``place``     files copied or linked, private and durable
``failures``  errors of disks and databases, as errors of the backup
``sqlite``    a database that others are writing, copied by SQLite itself
``postgres``  the registry in PostgreSQL, dumped and restored
``hold``      files that must not go while their database is copied
``parquet``   the archive's files: listed, linked or copied
``take``      all of it, in the order that loses nothing
``keep``      old backups go
``bring``     a backup becomes a data directory again
``prove``     restores a backup beside itself and compares
"""
