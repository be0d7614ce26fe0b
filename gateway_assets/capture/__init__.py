"""Capture: bytes per remote address, counted on this host and landed as files.

Promises: what is counted lands, in rows of one interval each, also when the disk is full for a
while; a stop lands what was counted so far; nothing half written is ever visible; what could not
be counted is said. Standard library only, because this process runs for ever beside everything
else and is the only one with a network privilege.

``cli``         the command gateway-capture
``daemon``      the loop: read, add up, land, stop
``backend``     the contract of a backend
``backends``    sockdiag, packet, iftop, replay
``intervals``   deltas added up to rows of an interval
``outbox``      finished intervals on their way to landing files
``netlink``     INET_DIAG messages: the kernel's TCP sockets as bytes
``payload``     TCP payload out of the kernel's counters, to the byte
``processes``   which process holds which socket
``direction``   which end of a packet is the remote
``pair_map``    bytes per pair of addresses, added up in the kernel
``pair_ring``   the same, from the header of every packet
``live_header`` the IP packet in a frame: its ends and its length
``packet_socket``  packets of one interface
``bpf``         maps and programs in the kernel
``child``       a child process that does not buffer and does not outlive this one
``iftop_text``  iftop's text output
``recorded``    recorded rows as JSON lines
``addresses``   IP addresses in one text form
``say``         lines on standard error
"""
