"""Base classes of the small environments: a fixed horizon, rendering, and tables that define the dynamics.

No episode ends early: if the end depends on the agent's actions, it reveals the task (Christiano et al. 2017,
appendix A), and a learned reward is not needed.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from prefrl_envs.tabular import TabularMDP, expected_return, finite_horizon_optimum
from prefrl_envs.window import Window

__all__ = ["FixedHorizonEnv", "TabularEnv"]

ObsType = TypeVar("ObsType")
Info = dict[str, Any]


class FixedHorizonEnv(gym.Env[ObsType, np.int64]):
    """An environment with discrete actions that truncates after ``horizon_steps`` and never terminates.

    Subclasses define how an episode begins and continues (`_begin`, `_advance`), what the agent sees (`_observe`) and
    what people see (`_draw`).

    Raises:
        ValueError: when the horizon is not positive or the render mode unknown.
    """

    metadata: ClassVar[Info] = {"render_modes": ["human", "rgb_array"], "render_fps": 8}  # type: ignore[misc]

    def __init__(self, horizon_steps: int, render_mode: str | None) -> None:
        if horizon_steps < 1:
            raise ValueError(f"horizon_steps is {horizon_steps}; an episode needs at least 1 step")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode is {render_mode!r}; it must be one of {self.metadata['render_modes']} or None"
            )
        self.horizon_steps = horizon_steps
        self.render_mode = render_mode
        self._steps_taken = 0
        self._window: Window | None = None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[ObsType, Info]:
        """Begin an episode; ``options`` are defined by the subclass."""
        super().reset(seed=seed)
        self._steps_taken = 0
        info = self._begin(options or {})
        self._show()
        return self._observe(), info

    def step(self, action: int | np.int64) -> tuple[ObsType, float, bool, bool, Info]:
        """Take one step; raises ValueError when ``action`` is not in the action space."""
        if not self.action_space.contains(action):
            raise ValueError(f"action {action!r} is not in the action space {self.action_space}")
        reward, info = self._advance(int(action))
        self._steps_taken += 1
        self._show()
        return self._observe(), reward, False, self._steps_taken >= self.horizon_steps, info

    def render(self) -> np.ndarray | None:
        """Return the frame, shape (H, W, 3) uint8, in mode "rgb_array"; show it in a window in mode "human"."""
        if self.render_mode == "rgb_array":
            return self._draw()
        self._show()
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _show(self) -> None:
        if self.render_mode == "human":
            self._window = self._window or Window(type(self).__name__, self.metadata["render_fps"])
            self._window.show(self._draw())

    def _begin(self, options: Info) -> Info:
        """Sample the first state; return the info of `reset`."""
        raise NotImplementedError

    def _advance(self, action: int) -> tuple[float, Info]:
        """Take one step; return its reward and info."""
        raise NotImplementedError

    def _observe(self) -> ObsType:
        """A new observation of the current state."""
        raise NotImplementedError

    def _draw(self) -> np.ndarray:
        """A new frame of the current state, shape (H, W, 3) uint8."""
        raise NotImplementedError


class TabularEnv(FixedHorizonEnv[ObsType]):
    """An environment whose dynamics are a table, so that its optimum is known exactly.

    ``reset(options={"state": s})`` begins in state s instead of a random one. Each info holds ``state``, the row of the
    tables, and each step's info holds ``intended_reward``, the reward for what the designer meant the agent to do. It
    differs from the written reward in environments where the written reward can be hacked.
    """

    def __init__(
        self,
        mdp: TabularMDP,
        start: np.ndarray,
        horizon_steps: int,
        render_mode: str | None,
        intended_rewards: np.ndarray | None = None,
    ) -> None:
        """Set up the dynamics.

        Args:
            mdp: the dynamics and the written reward; its gamma is not used.
            start: shape (S,), the probability of each initial state.
            horizon_steps: length of an episode.
            render_mode: "human", "rgb_array" or None.
            intended_rewards: shape (S, A); by default the written rewards.
        """
        super().__init__(horizon_steps, render_mode)
        self.transitions, self.rewards, self.start = mdp.transitions, mdp.rewards, start
        self.intended_rewards = mdp.rewards if intended_rewards is None else intended_rewards
        self.action_space = spaces.Discrete(mdp.rewards.shape[1])
        self._cumulative_transitions = _cumulative(mdp.transitions)
        self._cumulative_start = _cumulative(start)
        self._state = 0

    def mdp(self, gamma: float, intended: bool = False) -> TabularMDP:
        """The tables as an MDP with the written or the intended reward."""
        return TabularMDP(self.transitions, self.intended_rewards if intended else self.rewards, gamma)

    def optimal_return(self, intended: bool = False) -> float:
        """Exact mean undiscounted return of the best policy that observes the state."""
        return finite_horizon_optimum(self.mdp(1.0, intended), self.start, self.horizon_steps)

    def policy_return(self, policy: np.ndarray, intended: bool = False) -> float:
        """Exact mean undiscounted return of ``policy``, shape (S, A)."""
        return expected_return(self.mdp(1.0, intended), policy, self.start, self.horizon_steps)

    def _begin(self, options: Info) -> Info:
        state = options.get("state")
        if state is not None and not 0 <= state < len(self.start):
            raise ValueError(f"option state is {state}; it must lie in 0..{len(self.start) - 1}")
        self._state = self._sample(self._cumulative_start) if state is None else int(state)
        return {"state": self._state}

    def _advance(self, action: int) -> tuple[float, Info]:
        state_action = self._state, action
        self._state = self._sample(self._cumulative_transitions[state_action])
        return float(self.rewards[state_action]), {
            "state": self._state,
            "intended_reward": float(self.intended_rewards[state_action]),
        }

    def _sample(self, cumulative: np.ndarray) -> int:
        return int(np.searchsorted(cumulative, self.np_random.random(), side="right"))


def _cumulative(rows: np.ndarray) -> np.ndarray:
    """Cumulative probabilities that end in exactly 1, so that every draw from [0, 1) falls into an interval."""
    sums = rows.cumsum(axis=-1)
    return sums / sums[..., -1:]
