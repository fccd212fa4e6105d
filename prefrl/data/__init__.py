"""The nouns: segments, queries, comparisons, spaces, frames, clips and token arrays."""
