"""``python -m benchmarks.suites.text_frontier``: run the jobs that have no result, then write the report."""

import sys

from benchmarks.suites import run

sys.exit(run("text_frontier"))
