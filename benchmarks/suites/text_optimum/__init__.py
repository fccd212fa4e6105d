"""Texts so few that the optimal policy is known exactly: how close do PPO, GRPO and DPO come?"""
