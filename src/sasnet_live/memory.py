"""Memory that a frame has freed is kept for the next one: asking the system for it anew costs a fifth of the time."""

from __future__ import annotations

import ctypes
import os
import sys

KEPT_BYTES = 256 * 2**20  # at most as much freed memory is kept at the end of the heap
LARGEST_KEPT_BYTES = 32 * 2**20  # of one array; larger ones are given back when they are freed

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_SETTINGS_OF_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the GNU C library keep freed memory up to a bound; elsewhere nothing is done.

    By default it returns arrays of some MB to the system, so that each frame takes them again page by page: 2,600 to
    6,800 page faults in a frame's network pass, 29 to 35 ms instead of 20 to 28 ms (two threads of a virtual machine,
    where a page fault is dear). A setting that the user made is kept. Programs call this at their start, importing does
    not; a script that registers many frames may.

    Returns
    -------
    Whether it was done.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SETTINGS_OF_THE_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES))
