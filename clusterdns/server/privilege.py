"""The right to bind ports below 1024, where the process has it but does not use it yet.

The image's interpreter carries CAP_NET_BIND_SERVICE as a *permitted* file capability (see
capabilities(7)), and so starts even where a pod was not granted it. What is permitted is made
effective by the process itself: here, with the system calls, as Python has no function for them.
"""

import ctypes
import os
import sys

_VERSION_3 = 0x20080522  # linux/capability.h: two sets of three 32-bit words
_NET_BIND_SERVICE = 1 << 10


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def use_net_bind_service() -> bool:
    """Makes a permitted CAP_NET_BIND_SERVICE effective. False where there is none to use."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    header, words = _Header(_VERSION_3, os.getpid()), (_Words * 2)()
    if libc.capget(ctypes.byref(header), words) != 0:
        return False
    if not words[0].permitted & _NET_BIND_SERVICE:
        return False
    words[0].effective |= _NET_BIND_SERVICE
    return bool(libc.capset(ctypes.byref(header), words) == 0)
