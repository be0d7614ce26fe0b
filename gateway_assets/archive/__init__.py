"""The archive: closed days leave the hot database for Parquet, and come back when asked.

Promise: at every instant, with a crash at any instruction, every row is answered exactly once,
and its bytes are in one verified place before they leave another.

``manifest``  which file holds which rows of which day
``plan``      what should happen to every day of a table, and why (decides, does nothing)
``export``    a day becomes a verified file, published and hidden in one transaction
``prune``     hidden rows leave the hot table, in short paced steps
``restore``   a day comes back to the hot table
``totals``    rows and sums over both tiers, against what was loaded
``verify``    whether a file still holds what was archived
``sweep``     what a killed archiver left: half files go, unknown ones are set aside
``parquet``   rows as Parquet and back
``columns``   Python values as Arrow arrays and back, without pandas
``facts``     taking the manifest's facts from rows: counts, ranges, sums, content hash
``engine``    the whole of it for one table or all, one archiver at a time
"""
