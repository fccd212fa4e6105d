"""Rewards of texts: whole rankings against shuffled pairs, and people's judgments of arguments."""
