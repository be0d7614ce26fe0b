"""Where the outermost IP header begins in a frame, for every link type that is read.

Numbers of link types: https://www.tcpdump.org/linktypes.html. EtherTypes: IANA's IEEE 802 numbers.
Between link layer and IP may stand, in any order: VLAN tags (802.1Q, 802.1ad and their older
numbers), MPLS labels (RFC 3032) with or without an Ethernet pseudowire that has a control word
(RFC 4448), PPPoE (RFC 2516), LLC with SNAP (RFC 1042). Each of them is a step from one EtherType to
the next; steps only go forward, so that no frame can hold the reader for ever.

Nothing is found in 802.11 frames that are encrypted or hold several packets (A-MSDU).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

NOT_IP = -1

_IPV4, _IPV6 = 0x0800, 0x86DD
_IP = frozenset((_IPV4, _IPV6))
_NOTHING = 0xFFFF  # reserved; here: no EtherType
_LEAST_TYPE = 0x600  # below it the field is a length, and LLC follows
_SNAP = (b"\xaa\xaa\x03\0\0\0", b"\xaa\xaa\x03\0\0\xf8")  # RFC 1042, 802.1H
_SNAP_START = b"\xaa\xaa\x03"
_IP_SAP = b"\x06\x06\x03"
_HDLC = b"\xff\x03"
_CISCO_HDLC = (0x0F, 0x8F)
_PPP_PROTOCOLS = {0x21: _IPV4, 0x57: _IPV6, 0x281: 0x8847, 0x283: 0x8848}
_MPLS_PAYLOADS = {4: _IPV4, 6: _IPV6}  # by its first four bits
_FAMILIES = frozenset(
    (2, 10, 23, 24, 28, 30)
)  # AF_INET, and AF_INET6 of Linux, Windows, BSDs, macOS
_NFLOG_FAMILIES = (2, 10)
_NFLOG_PAYLOAD = 9  # NFULA_PAYLOAD, linux/netfilter/nfnetlink_log.h
_WLAN_VERSION_AND_TYPE, _WLAN_DATA = 0x0F, 0x08
_WLAN_QOS = 0x80  # a bit of a data frame's subtype
_WLAN_BOTH_DS, _WLAN_HT_CONTROL = 0x03, 0x80  # bits of its flags

Step = tuple[int, int]  # where the next layer begins, and its EtherType


def _number(frame: bytes, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def _tag(frame: bytes, at: int) -> Step:
    return at + 4, _number(frame, at + 2)


def _labels(frame: bytes, at: int) -> Step:
    while not frame[at + 2] & 1:  # the bottom of the stack
        at += 4
    at += 4
    kind = frame[at] >> 4
    if kind == 0:  # a control word, then Ethernet
        return at + 18, _number(frame, at + 16)
    return at, _MPLS_PAYLOADS.get(kind, _NOTHING)


def _pppoe(frame: bytes, at: int) -> Step:
    return _ppp(frame, at + 6)


def _ppp(frame: bytes, at: int) -> Step:
    protocol = frame[at]
    if protocol & 1:  # written in one byte, RFC 1661 section 6.5
        at += 1
    else:
        protocol = _number(frame, at)
        at += 2
    return at, _PPP_PROTOCOLS.get(protocol, _NOTHING)


def _llc(frame: bytes, at: int) -> Step:
    if frame[at : at + 6] in _SNAP:
        return at + 8, _number(frame, at + 6)
    if frame[at : at + 3] == _IP_SAP:
        return at + 3, _IPV4
    return at, _NOTHING


_STEPS: dict[int, Callable[[bytes, int], Step]] = {
    0x8100: _tag,
    0x88A8: _tag,
    0x9100: _tag,
    0x9200: _tag,
    0x9300: _tag,
    0x8847: _labels,
    0x8848: _labels,
    0x8864: _pppoe,
}


def _through(frame: bytes, at: int, kind: int) -> int:
    """Take steps until IP is reached, or something that is no IP."""
    while kind not in _IP:
        step = _llc if kind < _LEAST_TYPE else _STEPS.get(kind)
        if step is None:
            return NOT_IP
        at, kind = step(frame, at)
    return at


def _ethernet(frame: bytes) -> int:
    return _through(frame, 14, frame[12] << 8 | frame[13])


def _cooked(frame: bytes) -> int:
    return _through(frame, 16, _number(frame, 14))


def _cooked_2(frame: bytes) -> int:
    return _through(frame, 20, _number(frame, 0))


def _loopback(frame: bytes) -> int:
    """The address family is in the byte order of the host that captured."""
    family = min(int.from_bytes(frame[:4], order) for order in ("little", "big"))
    return 4 if family in _FAMILIES else NOT_IP


def _raw(frame: bytes) -> int:  # noqa: ARG001 - nothing stands before IP
    return 0


def _ppp_link(frame: bytes) -> int:
    return _through(frame, *_ppp(frame, 2 if frame.startswith(_HDLC) else 0))


def _hdlc_link(frame: bytes) -> int:
    return _cisco(frame) if frame[0] in _CISCO_HDLC else _ppp_link(frame)


def _cisco(frame: bytes) -> int:
    return _through(frame, 4, _number(frame, 2))


def _pppoe_link(frame: bytes) -> int:
    return _through(frame, *_pppoe(frame, 0))


def _nflog(frame: bytes) -> int:
    """Attributes in the byte order of the host that captured; all types are below 256."""
    if frame[0] not in _NFLOG_FAMILIES:
        return NOT_IP
    header = struct.Struct("<HH" if frame[7] == 0 else ">HH")
    at = 4
    while True:
        size, kind = header.unpack_from(frame, at)
        if kind == _NFLOG_PAYLOAD:
            return at + 4
        if size < 4:
            raise ValueError("an attribute that is shorter than its header")
        at += size + 3 & ~3


def _pflog(frame: bytes) -> int:
    """Its own length without padding, then the address family: OpenBSD's if_pflog.h."""
    return frame[0] + 3 & ~3 if frame[1] in _FAMILIES else NOT_IP


def _wlan(frame: bytes, at: int = 0) -> int:
    kind, flags = frame[at], frame[at + 1]
    if kind & _WLAN_VERSION_AND_TYPE != _WLAN_DATA:
        return NOT_IP
    size = 30 if flags & _WLAN_BOTH_DS == _WLAN_BOTH_DS else 24
    if kind & _WLAN_QOS:
        size += 6 if flags & _WLAN_HT_CONTROL else 2
    if frame[at + size : at + size + 3] != _SNAP_START:
        size = size + 3 & ~3  # some drivers pad the header
    return _through(frame, *_llc(frame, at + size))


def _radiotap(frame: bytes) -> int:
    return _wlan(frame, frame[2] | frame[3] << 8)


LOCATE: dict[int, Callable[[bytes], int]] = {
    0: _loopback,  # NULL
    1: _ethernet,
    9: _ppp_link,
    12: _raw,  # DLT_RAW, as older programs wrote it
    14: _raw,  # the same on OpenBSD
    50: _hdlc_link,
    51: _pppoe_link,
    101: _raw,
    104: _cisco,
    105: _wlan,
    108: _loopback,  # LOOP
    113: _cooked,  # LINUX_SLL
    117: _pflog,
    127: _radiotap,
    228: _raw,  # IPV4
    229: _raw,  # IPV6
    239: _nflog,
    276: _cooked_2,  # LINUX_SLL2
}
"""Link type to a function: a frame's bytes to the offset of its outermost IP header, or NOT_IP.

A frame that ends too early or contradicts itself raises IndexError, ValueError or struct.error.
"""
