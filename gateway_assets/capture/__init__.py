"""Capture: bytes per remote address, counted on this host and landed as files.

Promises: what is counted lands, in rows of one interval each, also when the disk is full for a
while; a stop lands what was counted so far; nothing half written is ever visible; what could not
be counted is said. Standard library only, because this process runs for ever beside everything
else and is the only one with a network privilege.

``cli``         the command gateway-capture
``daemon``      the loop: read, add up, land, stop
``backend``     the contract of a backend
``backends``    sockdiag, packet, iftop, pcap, replay
``intervals``   deltas added up to rows of an interval
``counters``    bytes by remote, country and process, in a file that outlives the process
``letters``     what landed as one file, added up for them
``meter``       what the metrics endpoint tells
``places``      where remotes are, for labels
``exposition``  Prometheus' text format
``endpoint``    metrics over HTTP, in a thread
``kernel_bytes``  what the kernel says has passed an interface
``top``         who talks most, in the terminal
``outbox``      finished intervals on their way to landing files
``netlink``     INET_DIAG messages: the kernel's sockets as bytes
``payload``     TCP payload out of the kernel's counters, to the byte
``holders``     whose a socket is: its process and its unit
``processes``   which process holds which socket
``units``       systemd units by cgroup
``attributed``  a backend of packets, with the processes they belong to
``attribution`` whose a remote's bytes are, by the sockets that talk to it
``shares``      a number divided so that its parts add up
``nets``        networks as people write them
``direction``   which end of a packet is the remote
``pair_map``    bytes per pair of addresses, added up in the kernel
``pair_ring``   the same, from the header of every packet
``live_header`` the IP packet in a frame: its ends and its length
``packet_socket``  packets of one interface
``bpf``         maps and programs in the kernel
``child``       a child process that does not buffer and does not outlive this one
``iftop_text``  iftop's text output
``recorded``    recorded rows as JSON lines
``pcap_file``   capture files as a stream of packets
``frames``      where the outermost IP header begins in a frame
``ip_header``   addresses and whole length of an IP packet
``sides``       which of two addresses is the remote
``addresses``   IP addresses in one text form
``say``         lines on standard error
"""
