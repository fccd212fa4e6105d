"""SAC on Pendulum, with and without relabelling the replay buffer by each new learned reward."""
