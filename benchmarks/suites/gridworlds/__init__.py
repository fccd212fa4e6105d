"""Eight small environments: preferences, the environment's own reward, and the exact optimum."""
