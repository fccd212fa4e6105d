"""``python -m benchmarks.suites.relabelling``: run the jobs that have no result, then write the report."""

import sys

from benchmarks.suites import run

sys.exit(run("relabelling"))
