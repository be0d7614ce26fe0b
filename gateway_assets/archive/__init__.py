"""The archive: closed days leave the hot database for Parquet, and come back when asked.

Promise: at every instant, with a crash at any instruction, every row is answered exactly once,
and its bytes are in one verified place before they leave another.

``manifest``  which file holds which rows of which day
``hops``      the first and the last time of a table's rows, by seeks
``days``      the days that hot rows are of, by seeks
``plan``      what should happen to every day of a table, and why (decides, does nothing)
``prepare``   what a database needs first: backup, manifest, triggers, index
``guard``     triggers that notice changes of rows which are archived or about to be
``reading``   hot rows as Arrow, in bounded memory
``export``    a day becomes a verified file, published and hidden in one transaction
``visible``   which rows of a hot table count, while copies of them are already archived
``prune``     hidden rows leave the hot table, in short paced steps
``chunks``    where the next chunk of rows ends
``pace``      short transactions, pauses, a share of the processor
``restore``   a day comes back to the hot table
``swap``      archived files are replaced by others, for every reader in one step
``compact``   files that become fewer: merged, shortened, expired
``months``    closed months as one file each, for long queries
``monthly``   making and dropping those
``erase``     a subject's rows leave everywhere, with a receipt
``places``    the places of addresses are looked up again, hot and archived
``copy_out``  a whole table as a plain SQLite file
``backup``    a checked copy of a database; space on the disk
``vacuum``    giving space back to the disk
``totals``    rows and sums over both tiers, against what was loaded
``checksum``  the SHA-256 of an archived file
``verify``    whether a file still holds what was archived
``check``     what must hold of archived days
``status``    how a table is tiered, and what is in the way
``sweep``     what a killed archiver left is finished or undone
``rows``      raw rows as Arrow and back
``parquet``   batches of rows as Parquet and back
``filters``   rows of archived files by conditions on their columns
``duck``      archived files sorted, or searched many at a time
``known``     keys that stay known after their rows have left
``columns``   Python values as Arrow arrays and back, without pandas
``facts``     taking the manifest's facts from rows: counts, ranges, sums, content hash
``source``    what every step works with: a table, its database, where files go
``engine``    the whole of it for one table or all, one archiver at a time
"""
