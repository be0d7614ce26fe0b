"""Summaries: tables of one row per UTC day, computed whole from the rows of the day.

One file each, as with sources: the columns, and how they are computed. ``rollups`` does the rest.

``daily_snapshots``  a day of a StarRocks cluster
"""
