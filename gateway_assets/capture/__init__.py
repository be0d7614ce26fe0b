"""Capture: bytes per remote address, counted on this host and landed as files.

Promises: what is counted lands, in rows of one interval each, also when the disk is full for a
while; a stop lands what was counted so far; nothing half written is ever visible; what could not
be counted is said. Standard library only, because this process runs for ever beside everything
else and is the only one with a network privilege.

``cli``         the command gateway-capture
``daemon``      the loop: read, add up, land, stop
``backend``     the contract of a backend
``backends``    sockdiag, packet, iftop, pcap, replay
``packets``     packets of one interface, counted while they pass
``sockets``     the kernel's sockets: their bytes, and whose they are
``captures``    packets that were captured to a file before
``metrics``     what Prometheus is told
``intervals``   deltas added up to rows of an interval
``outbox``      finished intervals on their way to landing files
``places``      where remotes are, for labels
``top``         who talks most, in the terminal
``child``       a child process that does not buffer and does not outlive this one
``iftop_text``  iftop's text output
``recorded``    recorded rows as JSON lines
``nets``        networks as people write them
``addresses``   IP addresses in one text form
``say``         lines on standard error
"""
