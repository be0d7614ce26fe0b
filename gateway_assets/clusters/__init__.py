"""Clusters: what the collected rows say about StarRocks clusters, whichever tier they are in.

``known``     which clusters there are, and when each was looked at
``overview``  the newest known value of everything
``nodes``     the newest state of each node
``history``   one number over a time, at any resolution
``trend``     a number beside the window before, yesterday and last week
``latency``   true percentiles of any time
``growth``    sizes at the end of each day
``capacity``  when the disks will be full
``running``   what runs at this moment, asked of the cluster itself
``jobs``      slow queries, materialized views, routine loads
``rules``     what is worth an alert, as data
``advice``    which rules hold, since when
"""
