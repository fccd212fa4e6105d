"""The memory that the C library keeps of what a process has freed."""

from __future__ import annotations

import ctypes

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Hand free pages back to the system; does nothing where the C library is not glibc.

    glibc keeps them for later, in holes between what is still held. Large temporary tensors of differing sizes find
    none that fits and take new memory, so that a process grows for hours although it holds no more.
    """
    trim = getattr(ctypes.pythonapi, "malloc_trim", None)
    if trim is not None:
        trim(0)
