"""Points: values of series over time, written durably, rolled up as states, asked at any age.

Promise: a write that was acknowledged is in every answer once it is loaded, exactly once; roll-ups
are those of the points that are there, whatever order these came in.

Writing:

``kinds``          metrics, logs and events as programs write them
``writer``         PointWriter: writes them to a frame log
``spool``          files of line protocol into a frame log
``pulls``          tables of PostgreSQL to be pulled, as people declare them
``pull``           such a table into a frame log, on from where the last run ended
``postgres``       its rows, in order of time
``pull_rows``      a row as line protocol
``watermarks``     how far a table was pulled
``payload``        what a frame carries
``line``           what a line of points is made of
``line_protocol``  line protocol as lines, fast
``grammar``        the same, character by character
``encode``         a point as line protocol

Loading:

``schema``         the tables of points.db
``load``           frames become rows, once
``series``         the registry: which number a series has, which type a field
``rows``           lines as rows
``journals``       logs and events as rows
``write``          rows written, the last write wins
``dirty``          which hours of which series a roll-up has not seen
``watch``          series that somebody watches, and which of them got points
``waiting``        how much of the frame logs is not loaded yet
``health``         what waits, what was rejected, what came last
``quality``        how far a value can be trusted
``expire``         what is loaded leaves the log after a while
``pipeline``       scaling, range check and deadband of a gateway's tags

Rolling up:

``levels``         minutes, five minutes, hours, days
``states``         buckets as mergeable states
``segments``       sums and extremes of the parts of arrays
``refresh``        marked hours are computed again, on every level
``again``          days whose roll-ups are computed again, marked or not
``compare``        whether roll-ups count the points that are there
``stored``         the points of some hours
``cold``           what is archived, and bringing it back
``floor``          before which moment points are removed, and only roll-ups know of them
``late``           points that come when those of their time have gone

Asking:

``query``          TimeSeriesQuery: what is asked
``find``           which series are meant
``answer``         the answer, per series
``cover``          a range put together from the longest buckets
``read``           points and buckets of a range, from both tiers
``accessors``      averages, rates and others of states
``fill``           buckets without a value
``percentile``     exact percentiles
``lttb``           fewer points of the same shape
"""
