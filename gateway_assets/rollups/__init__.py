"""Roll-ups: tables of mergeable states, built from the rows below, never from averages.

Promise: every row is merged exactly once, also when it comes late, and merging takes time in
proportion to the new rows only. Nothing is recomputed from rows that may have gone.

``drain``     merges what the dirty buckets name, and clears them in the same transaction
``archived``  rows below that are archived, for a roll-up that has to see them
``groups``    a day's rows that are grouped again, because keys of rows below have changed
"""
