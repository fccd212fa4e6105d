"""What a worker process says by its exit status. The launcher, which never loads torch, reads it too."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitStatus"]


class ExitStatus(IntEnum):
    """Exit status of ``python -m prefrl.runtime.child``; others, and signals, are failures like any."""

    FINISHED = 0
    """nothing is left to do for this worker"""
    FAILED = 1
    """an error that may pass: the worker is worth starting again"""
    HOPELESS = 2
    """the worker could not be built from these settings, and never can"""
    STOPPED = 130
    """asked to stop before it had finished"""
