"""Keyboard controls for playing an environment."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

__all__ = ["Controls", "find_controls"]

_NOOP = "e"
"""Gymnasium's key for the no-op action"""
_ARROWS = {"w": "up", "a": "left", "s": "down", "d": "right", " ": "space"}
"""our names of the keys in Gymnasium's keyboard maps"""
_ROTATED = {"right": "up", "left": "down"}
_GRID_ACTIONS = {"up": 0, "right": 1, "down": 2, "left": 3}
_KNOWN: Mapping[str, tuple[int, dict[str, int]]] = {
    "CartPole": (0, {"left": 0, "right": 1}),
    "MountainCar": (1, {"left": 0, "right": 2}),
    "Acrobot": (1, {"left": 0, "right": 2}),
    "LunarLander": (0, {"left": 1, "up": 2, "right": 3}),
    "PenguinIce": (0, _GRID_ACTIONS),
    "PenguinIcePartial": (0, _GRID_ACTIONS),
    "BoatRace": (0, _GRID_ACTIONS),
    "BoatRaceIntended": (0, _GRID_ACTIONS),
    "Vase": (0, _GRID_ACTIONS),
    "VaseIntended": (0, _GRID_ACTIONS),
    "MovingDot": (0, {name: action + 1 for name, action in _GRID_ACTIONS.items()}),
}
"""by the name in the environment's id: the action while no key is held, and the action of each key"""
_PAIRS = ("az", "sx", "dc", "fv", "gb", "hn")
"""two keys per joint, one forwards and one backwards"""


@dataclass(frozen=True)
class Controls:
    """Maps the keys held down to an action."""

    legend: str
    """the keys as text"""
    keys: Mapping[frozenset[str], Any]
    """action by keys held together"""
    idle: Any
    """action while no key is held"""

    def action(self, held: Set[str]) -> Any:
        """The action of the largest known set of keys among those held."""
        fitting = [keys for keys in self.keys if keys <= held]
        return self.keys[max(fitting, key=len)] if fitting else self.idle


def find_controls(env: gym.Env[Any, Any]) -> Controls:
    """Controls for an environment.

    Raises:
        ValueError: if no keys are known for its action space.
    """
    space: Any = env.action_space
    if isinstance(space, spaces.Discrete):
        return _discrete(env, int(space.n), int(space.start))
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.shape[0] <= len(_PAIRS):
        return _continuous(space)
    raise ValueError(
        f"no keys are known for the actions {space}; play an environment with a few discrete actions, or "
        f"up to {len(_PAIRS)} continuous ones"
    )


def _discrete(env: gym.Env[Any, Any], count: int, start: int) -> Controls:
    own = getattr(env.unwrapped, "get_keys_to_action", None)
    if own is not None:
        keys = {_names(pressed): action for pressed, action in own().items()}
        if not any("up" in names for names in keys):
            # With only left and right, as in Pong, up and down do the same.
            keys |= {
                frozenset(_ROTATED.get(name, name) for name in names): one for names, one in keys.items()
            }
        used = sorted({name for names in keys for name in names})
        return Controls(_listed(used), keys, start)
    name = "" if env.spec is None else env.spec.id.rpartition("/")[2].partition("-")[0]
    if name in _KNOWN:
        idle, actions = _KNOWN[name]
        return Controls(_listed(list(actions)), {frozenset({key}): one for key, one in actions.items()}, idle)
    if count > 9:
        raise ValueError(f"no keys are known for {count} actions; at most 9 can be played, a digit each")
    digits = {frozenset({str(number + 1)}): start + number for number in range(count)}
    return Controls(f"1 to {count}", digits, start)


def _names(pressed: Any) -> frozenset[str]:
    letters = (
        chr(key) if isinstance(key, int) else str(key) for key in np.atleast_1d(np.asarray(pressed, object))
    )
    return frozenset(_ARROWS.get(letter, letter) for letter in letters)


def _continuous(space: spaces.Box) -> Controls:
    size = space.shape[0]
    pairs = [("right", "left")] if size == 1 else [(pair[0], pair[1]) for pair in _PAIRS[:size]]
    keys: dict[frozenset[str], np.ndarray] = {}
    # Joints can be moved together; if both keys of a joint are held, forwards counts.
    for held in _combinations(pairs):
        action = np.zeros(space.shape, space.dtype)
        for joint, (forwards, backwards) in enumerate(pairs):
            if forwards in held:
                action[joint] = space.high[joint]
            elif backwards in held:
                action[joint] = space.low[joint]
        keys[frozenset(held)] = action
    idle = np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    return Controls(_listed([key for pair in pairs for key in pair]), keys, idle)


def _combinations(pairs: list[tuple[str, str]]) -> list[tuple[str, ...]]:
    held: list[tuple[str, ...]] = [()]
    for pair in pairs:
        held += [(*keys, key) for keys in held for key in pair]
    return [keys for keys in held if keys]


def _listed(names: list[str]) -> str:
    arrows = [name for name in ("left", "right", "up", "down") if name in names]
    others = [name for name in names if name not in (*arrows, _NOOP)]
    words = (["arrows"] if len(arrows) > 2 else arrows) + others
    return ", ".join(words)
