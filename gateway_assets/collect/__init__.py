"""Collect: StarRocks clusters looked at every half minute, and landed as files.

Promises: a look ends within its deadline, whatever a server does; one that is bad delays no other;
a tick that cannot be kept is skipped and said, never queued; what was counted is in exactly one
landing file, also when this process is killed anywhere; unknown is NULL.

``config``    clusters as people declare them
``configs``   settings of the frontends, and which differ
``observed``  what one look at one cluster brought
``ask``       one look: statements and metrics, each with a deadline
``sql``       one session with a frontend
``fetch``     one page over HTTP
``deadline``  calls that end in time, whatever a server does
``parallel``  jobs done at the same time, left behind when they do not end
``nodes``     the nodes of a cluster, as SHOW lists them
``series``    metrics of nodes by series, over HTTP or in SQL
``counted``   what the counters of a node grew
``gauges``    states of a cluster, each from the first place that knows it
``derived``   numbers that are of no one place
``sampled``   rows of nodes
``jobs``      rows of routine loads, views and refreshes
``queries``   rows of latencies and slow queries
``fitting``   values made to fit the columns of a source
``snapshot``  what was seen, and what had been seen before, as rows
``tick``      all clusters at once
``journal``   a tick is in its files, or will be
``loop``      ticks at round times
``check``     whether clusters can be looked at, in plain words
``say``       lines for people
"""
