"""``python -m benchmarks.suites.atari``: run the jobs that have no result, then write the report."""

import sys

from benchmarks.suites import run

sys.exit(run("atari"))
