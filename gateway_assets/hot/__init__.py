"""The hot store: one SQLite file that answers for everything recent and for what has moved on.

Promise: a landing file's rows and the ledger row that remembers the file commit in one
transaction, so loading any files in any order, any number of times, by any number of processes
gives the same rows.

``store``       opening the database, transactions, errors
``sql``         SQL text from templates: names quoted, values bound
``schema``      the tables of the file, from the declarations
``load``        landing files become rows
``ledger``      which files are in, for ever, and what they added up to
``names``       names of files of long ago, kept small
``counters``    whether a capture's counters went as far as its files
``dirty``       which rows the roll-ups have not merged yet
``quarantine``  files that cannot be read, with the reason beside them
``visible``     which rows of a hot table count, while copies of them are already archived
"""
