"""The kernel's sockets: their bytes, and whose they are.

``netlink``      INET_DIAG messages
``payload``      TCP payload out of the kernel's counters, to the byte
``holders``      whose a socket is: its process and its unit
``processes``    which process holds which socket
``units``        systemd units by cgroup
``attribution``  whose a remote's bytes are, by the sockets that talk to it
``attributed``   a backend of packets, with the processes they belong to
``shares``       a number divided so that its parts add up
"""
