"""The durable frame log: what is acknowledged is on disk, in order, and any process can read it.

Promises: one writer a directory; numbers (``seq``) rise by one and go on after a restart; a frame
is acknowledged when it is as durable as the log was told to be; a torn end is cut off and damaged
bytes are kept aside, never passed on and never in the way of the frames behind them. A frame that
was refused may be in the log all the same, so a reader must bear to see it twice.

``frame``          what a frame is
``record``         a frame as bytes, with its CRC-32
``segment``        one file of the log: name, header, footer
``reading``        list and read segments, also while they grow
``writing``        the segment that is being written
``recovery``       seal what a killed writer left
``quarantine``     damaged bytes aside, with the reason
``commit``         many threads append, one at a time syncs for all
``log``            open a log
``retention``      remove what is old and loaded
``rocks``          the same log in RocksDB, if ``rocksdict`` is installed
``rocks_reading``  how such a log is read
``refusals``       what the operating system refused, with a hint
"""
