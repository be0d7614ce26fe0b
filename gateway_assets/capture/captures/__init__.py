"""Packets that were captured to a file before.

``pcap_file``  capture files as a stream of packets
``frames``     where the outermost IP header begins in a frame
``ip_header``  addresses and whole length of an IP packet
``sides``      which of two addresses is the remote
"""
