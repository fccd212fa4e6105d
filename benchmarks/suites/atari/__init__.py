"""Atari games from preferences: speed and scores, beside Stable-Baselines3 and the papers."""
