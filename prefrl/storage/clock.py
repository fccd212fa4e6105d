"""The clock of leases and heartbeats: no other clock moves it, and all processes of a machine share it.

The wall clock jumps (NTP, a person, daylight saving), which would lapse leases or extend them. Here a second is a
second, and the time that the machine sleeps is none: while it sleeps nobody answers, and nobody falls silent.
The clock starts anew at each boot, so what is timed by it is kept together with the boot it belongs to.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

__all__ = ["boot_id", "clock_s"]


def clock_s() -> float:
    """Seconds since some instant near the last boot, the same for every process."""
    return time.monotonic()


@cache
def boot_id() -> str:
    """What tells this boot of the machine from others; empty where the system has no name for it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
