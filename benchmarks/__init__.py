"""Benchmarks: one suite a file, all of them run by `benchmarks.harness`."""
