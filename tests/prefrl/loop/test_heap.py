import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prefrl.loop.heap import trim_heap

pytestmark = pytest.mark.slow

PIECE, PIECES = 64 * 1024, 2000
"""small enough to lie in the heap instead of in a mapping of its own, 125 MiB together"""


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


COUNT_FAULTS = """
import resource
import numpy as np
from prefrl.loop.heap import keep_heap

def step():
    for size in (20_000_000, 30_000_000):
        np.ones(size, dtype=np.uint8)

keep_heap()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc_only = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="what other C libraries keep is not ours to set"
)


@glibc_only
def test_a_kept_heap_takes_no_new_pages_for_what_was_freed() -> None:
    # In a process of its own: it cannot be undone.
    command = [sys.executable, "-c", COUNT_FAULTS]
    faults = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert faults < 100, "some 1,000 without"


@glibc_only
def test_holes_between_what_is_held_go_back_to_the_system() -> None:
    spans = [np.ones(PIECE, dtype=np.uint8) for _ in range(PIECES)]
    held = spans[::2]
    spans.clear()
    before = resident_mib()
    trim_heap()
    assert before - resident_mib() > PIECE * PIECES / 2 / 2**20 * 0.8
    assert all(piece.min() == 1 for piece in held)
