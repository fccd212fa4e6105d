"""The memory that the C library keeps of what a process has freed."""

from __future__ import annotations

import ctypes

__all__ = ["keep_heap", "trim_heap"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_heap() -> None:
    """Keep what is freed for the next allocation, until `trim_heap`; does nothing where the C library is not glibc.

    The temporary tensors of a step are tens of megabytes. By default glibc hands them back to the system each time, and
    taking them anew, page by page, is a quarter of the time of fitting a reward to images.
    """
    mallopt = getattr(ctypes.pythonapi, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def trim_heap() -> None:
    """Hand free pages back to the system; does nothing where the C library is not glibc.

    glibc keeps them for later, in holes between what is still held. Large temporary tensors of differing sizes find
    none that fits and take new memory, so that a process grows for hours although it holds no more.
    """
    trim = getattr(ctypes.pythonapi, "malloc_trim", None)
    if trim is not None:
        trim(0)
