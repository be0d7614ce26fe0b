"""What is known of StarRocks, and arithmetic on it: pure functions and data, no connection.

``definitions``  what is asked of a cluster and what becomes of the answers
``formats``      texts of SHOW as numbers and moments
``exposition``   Prometheus' text format as StarRocks writes it
``growth``       what counters grew between two looks, restarts included
``histogram``    latencies in logarithmic buckets, and percentiles of them
``forecast``     when a disk is full, with a range and the error of earlier forecasts
``compare``      a number against what it was before
"""
