"""bpf(2): maps and programs in the kernel, without a compiler and without headers.

Instructions and attributes are laid out as in ``linux/bpf.h``; instructions as its RFC 9669 says.
Every function raises OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable, Iterator

ARRAY, HASH, ARRAY_OF_MAPS = 2, 1, 12
SOCKET_FILTER = 1
LOOKUP_ELEMENT, UPDATE_ELEMENT, SKB_LOAD_BYTES = 1, 2, 26  # helper functions
NO_EXIST = 1
R0, R1, R2, R3, R4, _, R6, R7, R8, R9, STACK = range(11)

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _LOOKUP_AND_DELETE_BATCH = 0, 1, 2, 5, 25
_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_LIBC = ctypes.CDLL(None, use_errno=True)

_INSTRUCTION = struct.Struct("=BBhi")
_CREATE = struct.Struct("=IIIIII")
_ELEMENT = struct.Struct("=IxxxxQQQ")
_LOAD = struct.Struct("=IIQQIIQII")
_BATCH = struct.Struct("=QQQQIIQQ")
_COUNT = struct.Struct("=I")
_COUNT_AT = 32  # of count in _BATCH, which the kernel writes back

_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_MAP_FD, _MAP_VALUE = 1, 2  # what the immediate of a 64-bit load stands for

Instruction = tuple[int, int, int, int | str, int]  # code, to, from, offset or label, immediate
Line = Instruction | str  # a text is a label


def copy(to: int, register: int) -> Line:
    return (0xBF, to, register, 0, 0)


def put(to: int, value: int) -> Line:
    return (0xB7, to, 0, 0, value)


def add(to: int, value: int) -> Line:
    return (0x07, to, 0, 0, value)


def subtract(to: int, register: int) -> Line:
    return (0x1F, to, register, 0, 0)


def keep_bits(to: int, mask: int) -> Line:
    return (0x57, to, 0, 0, mask)


def shift_left(to: int, bits: int) -> Line:
    return (0x67, to, 0, 0, bits)


def shift_right(to: int, bits: int) -> Line:
    return (0x77, to, 0, 0, bits)


def from_network(to: int) -> Line:
    """Turn 16 bits in network order into a number."""
    return (0xDC, to, 0, 0, 16)


def load(size: int, to: int, base: int, offset: int) -> Line:
    return (0x61 | _SIZES[size], to, base, offset, 0)


def store(size: int, base: int, offset: int, register: int) -> Line:
    return (0x63 | _SIZES[size], base, register, offset, 0)


def store_value(size: int, base: int, offset: int, value: int) -> Line:
    return (0x62 | _SIZES[size], base, 0, offset, value)


def add_atomically(base: int, offset: int, register: int) -> Line:
    """Add to 64 bits of memory that several processors may add to."""
    return (0xDB, base, register, offset, 0)


def jump(label: str) -> Line:
    return (0x05, 0, 0, label, 0)


def jump_equal(register: int, value: int, label: str) -> Line:
    return (0x15, register, 0, label, value)


def jump_unequal(register: int, value: int, label: str) -> Line:
    return (0x55, register, 0, label, value)


def jump_up_to(register: int, value: int, label: str) -> Line:
    return (0xB5, register, 0, label, value)


def jump_below(register: int, other: int, label: str) -> Line:
    return (0xAD, register, other, label, 0)


def jump_signed_below(register: int, value: int, label: str) -> Line:
    return (0xC5, register, 0, label, value)


def call(helper: int) -> Line:
    return (0x85, 0, 0, 0, helper)


def leave() -> Line:
    return (0x95, 0, 0, 0, 0)


def point_to_map(to: int, fd: int) -> list[Line]:
    return [(0x18, to, _MAP_FD, 0, fd), (0, 0, 0, 0, 0)]


def point_into_map(to: int, fd: int, offset: int) -> list[Line]:
    """The address ``offset`` bytes into the only value of an array."""
    return [(0x18, to, _MAP_VALUE, 0, fd), (0, 0, 0, 0, offset)]


def assemble(lines: Iterable[Line]) -> bytes:
    """Machine code; labels become distances."""
    code: list[Instruction] = []
    places: dict[str, int] = {}
    for line in lines:
        if isinstance(line, str):
            places[line] = len(code)
        else:
            code.append(line)
    return b"".join(
        _INSTRUCTION.pack(operation, source << 4 | to, _distance(offset, places, number), immediate)
        for number, (operation, to, source, offset, immediate) in enumerate(code)
    )


def _distance(offset: int | str, places: dict[str, int], number: int) -> int:
    return places[offset] - number - 1 if isinstance(offset, str) else offset


def create_map(kind: int, key_size: int, value_size: int, entries: int, inner: int = 0) -> int:
    """A file descriptor; ``inner`` is a map like those an ARRAY_OF_MAPS will hold."""
    return _bpf(_MAP_CREATE, _CREATE.pack(kind, key_size, value_size, entries, 0, inner))


def load_filter(code: bytes) -> int:
    """A file descriptor for SO_ATTACH_BPF. The verifier's reasons are left to the errno."""
    program, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"Apache-2.0")
    at, licence_at = ctypes.addressof(program), ctypes.addressof(licence)
    count = len(code) // _INSTRUCTION.size
    return _bpf(_PROG_LOAD, _LOAD.pack(SOCKET_FILTER, count, at, licence_at, 0, 0, 0, 0, 0))


def look_up(fd: int, key: bytes, size: int) -> bytes:
    """The value of ``size`` bytes under a key."""
    keys, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    _bpf(_MAP_LOOKUP, _ELEMENT.pack(fd, ctypes.addressof(keys), ctypes.addressof(value), 0))
    return value.raw


def update(fd: int, key: bytes, value: bytes) -> None:
    """Set a value. In a map of maps: returns when no program uses the map that was there.

    So says maybe_wait_bpf_programs() in kernel/bpf/syscall.c, since Linux 5.0.
    """
    keys, values = ctypes.create_string_buffer(key), ctypes.create_string_buffer(value)
    _bpf(_MAP_UPDATE, _ELEMENT.pack(fd, ctypes.addressof(keys), ctypes.addressof(values), 0))


def take_all(fd: int, key_size: int, value_size: int, at_once: int) -> Iterator[tuple[bytes, int]]:
    """Empty a hash map: pairs of keys and values, ``at_once`` entries for each call.

    Nothing may write to the map meanwhile. Needs Linux 5.6.
    """
    keys = ctypes.create_string_buffer(at_once * key_size)
    values = ctypes.create_string_buffer(at_once * value_size)
    place = ctypes.create_string_buffer(8)
    at = [ctypes.addressof(buffer) for buffer in (place, keys, values)]
    began, ended = 0, False
    while not ended:
        attributes = ctypes.create_string_buffer(_BATCH.pack(began, *at, at_once, fd, 0, 0))
        ended = not _call(_LOOKUP_AND_DELETE_BATCH, attributes, errno.ENOENT)
        began = at[0]
        (count,) = _COUNT.unpack_from(attributes, _COUNT_AT)
        names, numbers = keys.raw, values.raw
        for number in range(count):
            value = int.from_bytes(
                numbers[number * value_size : (number + 1) * value_size], sys.byteorder
            )
            yield names[number * key_size : (number + 1) * key_size], value


def _bpf(command: int, attributes: bytes) -> int:
    result = _system_call(command, ctypes.create_string_buffer(attributes))
    if result < 0:
        _raise()
    return result


def _call(command: int, attributes: ctypes.Array[ctypes.c_char], end: int) -> bool:
    """Whether there is more; ``end`` is the errno that says there is not."""
    if _system_call(command, attributes) >= 0:
        return True
    if ctypes.get_errno() != end:
        _raise()
    return False


def _system_call(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    number = _SYSCALL.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, "bpf(2) is not known on this machine")
    size = len(attributes) - 1  # without the zero that ends a text
    result: int = _LIBC.syscall(number, command, attributes, size)
    return result


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
