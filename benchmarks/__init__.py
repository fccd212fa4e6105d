"""Benchmarks: a folder a suite in `benchmarks.suites`, all run by `benchmarks.harness`."""
