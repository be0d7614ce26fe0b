"""Have the kernel refuse a system call to one thread, as a broken disk would: seccomp(2).

The filter stays for as long as the thread lives and goes to threads that it starts.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

FDATASYNC = {"x86_64": 75, "aarch64": 83}
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_ERRNO, _ALLOW = 0x0005_0000, 0x7FFF_0000

T = TypeVar("T")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _refuse_here(call: int) -> None:
    lines = [
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, call),  # if it is this one
        (0x06, 0, 0, _ERRNO | errno.EIO),
        (0x06, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = _Program(len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    failed = failed or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)
    if failed:
        pytest.skip(f"no seccomp: {errno.errorcode[ctypes.get_errno()]}")


def without_fdatasync(work: Callable[[], T]) -> T:
    """The result of ``work`` in a thread to which fdatasync answers EIO; its error is raised."""
    call = FDATASYNC.get(platform.machine())
    if call is None:
        pytest.skip(f"the number of fdatasync on {platform.machine()} is not known here")
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _refuse_here(call)
            results.append(work())
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
