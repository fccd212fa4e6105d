"""A reward learned from a person's 123 comparisons of Seaquest clips, cross-validated."""
