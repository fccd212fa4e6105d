"""Pendulum and CartPole from 200 labels, beside imitation and the same agent on the true reward."""
