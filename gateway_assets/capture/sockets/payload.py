"""How many bytes of TCP payload a socket has received, to the byte.

``bytes_received`` grows by one more when the other side's FIN arrives, and nothing says whether
it has. In a dump the state tells. A destroyed socket is always CLOSE; the evidence is, in order:

    received  segments  unread  earlier dump       what remains   payload
    0         any       any     any                any            0
    any       0         any     any                any            0   only the FIN came
    any       any       any     FIN had arrived    any            received - 1
    any       any       1       any                any            received - 1   FIN, never read
    any       any       > 1     any                any            received   closed over unread data
    any       any       0       1 less, no segment any            received - 1   only the FIN since
    any       any       0       half closed, held  TIME_WAIT      received - 1   read to its end
    any       any       0       any                FIN_WAIT2      received   FIN still to come
    any       any       0       any                TIME_WAIT      received   *
    any       any       0       any                other          received - 1 if our FIN was
                                                                  acknowledged, else received

"What remains" is what the kernel answers for the same two ends once the socket is gone. ``*``: a
connection that was closed by us first and by the other side before we could ask. The one case
that looks the same, a half close shorter than the pause between dumps, is counted one byte high.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway_assets.capture.sockets.netlink import (
    CLOSE,
    CLOSE_WAIT,
    CLOSING,
    FIN_WAIT1,
    FIN_WAIT2,
    LAST_ACK,
    LISTEN,
    TIME_WAIT,
    TcpSocket,
)

_FIN_ARRIVED = frozenset({CLOSE_WAIT, LAST_ACK, CLOSING, TIME_WAIT})


def open_payload(found: TcpSocket, earlier: TcpSocket | None) -> int:
    """Payload that a socket in a dump has certainly received.

    The kernel reads a socket's state just before its counters. So when the counter has grown
    since the dump before, its last byte may be a FIN that came in between; the next dump tells.
    """
    fin = found.state in _FIN_ARRIVED
    grown = earlier is None or earlier.received != found.received
    ending = found.state == CLOSE  # it ends while it is dumped, and how is told by its last event
    return max(0, found.received - (fin or grown or ending))


def with_memory(found: TcpSocket, earlier: TcpSocket | None) -> TcpSocket:
    """A socket in a dump; a FIN that had arrived before has arrived, whatever the state is now."""
    if earlier and earlier.state in _FIN_ARRIVED:
        return found._replace(state=earlier.state)
    return found


def final_payload(gone: TcpSocket, earlier: TcpSocket | None, remains: Callable[[], int]) -> int:
    """Payload received by a destroyed socket; ``remains`` is asked only when nothing else tells."""
    if gone.received == 0 or gone.data_segments == 0:
        return 0
    if earlier and earlier.state in _FIN_ARRIVED:
        return gone.received - 1
    if gone.unread:
        return gone.received - (gone.unread == 1)
    if earlier and _only_a_fin_since(earlier, gone):
        return earlier.received
    return gone.received - _fin_was_read(gone, earlier, remains())


def _only_a_fin_since(earlier: TcpSocket, gone: TcpSocket) -> bool:
    same = earlier.data_segments == gone.data_segments
    return same and earlier.received + 1 == gone.received


def _fin_was_read(gone: TcpSocket, earlier: TcpSocket | None, left: int) -> bool:
    if left == TIME_WAIT:
        return bool(earlier and earlier.inode and earlier.state in (FIN_WAIT1, FIN_WAIT2))
    if left == FIN_WAIT2:
        return False
    opened_by_us = left != LISTEN  # who opened has one more acknowledged: its SYN
    return gone.acked - gone.sent == 1 + opened_by_us
