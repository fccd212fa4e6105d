"""``python -m benchmarks.suites.seaquest_human_data``: run the jobs that have no result, then write the report."""

import sys

from benchmarks.suites import run

sys.exit(run("seaquest_human_data"))
