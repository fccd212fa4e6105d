"""Behaviours that no environment rewards, learned from the comparisons of a scripted judge."""
