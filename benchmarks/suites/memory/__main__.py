"""``python -m benchmarks.suites.memory``: run the jobs that have no result, then write the report."""

import sys

from benchmarks.suites import describe
from benchmarks.suites.memory.suite import run

sys.exit(run(sys.argv[1:], describe("memory")))
