"""Packets of one interface, counted while they pass.

``packet_socket``  frames of one interface, from the kernel
``live_header``    the IP packet in a frame: its ends and its length
``direction``      which end of a packet is the remote
``pair_map``       bytes per pair of addresses, added up in the kernel
``pair_ring``      the same, from the header of every packet
``bpf``            maps and programs in the kernel
"""
