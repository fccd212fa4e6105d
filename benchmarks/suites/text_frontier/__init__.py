"""Product reviews: true reward against KL for PPO, GRPO, DPO and best of n, from the same rankings."""
