"""Data types: segments, queries, comparisons, spaces, frames, clips and token arrays."""
