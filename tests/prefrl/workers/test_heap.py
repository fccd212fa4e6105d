import platform
from pathlib import Path

import numpy as np
import pytest

from prefrl.workers.heap import trim_heap

PIECE, PIECES = 64 * 1024, 2000
"""small enough to lie in the heap instead of in a mapping of its own, 125 MiB together"""


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have nothing to trim")
def test_holes_between_what_is_held_go_back_to_the_system() -> None:
    pieces = [np.ones(PIECE, dtype=np.uint8) for _ in range(PIECES)]
    held = pieces[::2]
    pieces.clear()
    before = resident_mib()
    trim_heap()
    assert before - resident_mib() > PIECE * PIECES / 2 / 2**20 * 0.8
    assert all(piece.min() == 1 for piece in held)
