"""Tokens learned from per second, beside stock Stable-Baselines3 and TRL."""
