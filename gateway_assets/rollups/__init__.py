"""Roll-ups: tables of mergeable states, built from the rows below, never from averages; and
summaries: tables of days that are computed whole.

Promise: every row is merged exactly once, also when it comes late, and merging takes time in
proportion to the new rows only. A day of a summary is what its rows below say, as long as they are
there. Nothing is recomputed from rows that have gone.

``drain``      does what the dirty buckets ask for, and clears them in the same transaction
``merge``      new rows into a roll-up
``groups``     a day's rows grouped again, because keys of rows below have changed
``summarize``  a day of a summary, again
``growth``     what a day's end differs by from that of the last day with data
``archived``   rows that are archived already, where SQLite can aggregate them
"""
