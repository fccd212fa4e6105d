"""Gymnasium environments for learning from preferences, each with a true reward that is known exactly.

Importing this package registers them; ``gymnasium.make("prefrl_envs:prefrl/PenguinIce-v0")`` imports it automatically.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from prefrl_envs.atari import GAMES
from prefrl_envs.endless import EndlessEpisodes, EndlessVector
from prefrl_envs.tabular import TabularMDP
from prefrl_envs.wrappers import IntendedReward

__all__ = [
    "ATARI_IDS",
    "BEHAVIOUR_IDS",
    "ENV_IDS",
    "PROMPTS_ID",
    "TEXT_IDS",
    "EndlessEpisodes",
    "EndlessVector",
    "IntendedReward",
    "TabularMDP",
]

_PENGUIN = "prefrl_envs.penguin_ice:PenguinIce"
_BOAT = "prefrl_envs.boat_race:BoatRace"
_VASE = "prefrl_envs.vase:Vase"
_INTENDED = {"additional_wrappers": (IntendedReward.wrapper_spec(),)}

_REGISTERED: dict[str, tuple[str, dict[str, Any]]] = {
    "prefrl/PenguinIce-v0": (_PENGUIN, {}),
    "prefrl/PenguinIceMarkov-v0": (_PENGUIN, {"kwargs": {"mode": "markov_process"}}),
    "prefrl/PenguinIceReward-v0": (_PENGUIN, {"kwargs": {"mode": "reward_process"}}),
    "prefrl/PenguinIcePartial-v0": (_PENGUIN, {"kwargs": {"mode": "partially_observed"}}),
    "prefrl/MovingDot-v0": ("prefrl_envs.moving_dot:MovingDot", {}),
    "prefrl/BoatRace-v0": (_BOAT, {}),
    "prefrl/BoatRaceIntended-v0": (_BOAT, _INTENDED),
    "prefrl/Vase-v0": (_VASE, {}),
    "prefrl/VaseIntended-v0": (_VASE, _INTENDED),
    "prefrl/RankedAnswers-v0": ("prefrl_envs.ranked_answers:RankedAnswers", {}),
}

ENV_IDS = tuple(_REGISTERED)
"""ids of the gridworlds and other small environments, which need no optional packages"""

ATARI_IDS = tuple(f"prefrl/{game}-v0" for game in GAMES)
"""ids of the Atari games, which need ale-py"""

_BEHAVIOURS = {
    "prefrl/PendulumSpin-v0": "make_spin",
    "prefrl/HopperBackflip-v0": "make_backflip",
    "prefrl/CheetahOneLeg-v0": "make_one_leg",
    "prefrl/EnduroLevel-v0": "make_level",
}

BEHAVIOUR_IDS = tuple(_BEHAVIOURS)
"""ids of behaviours with a scripted reward; the first needs no optional packages, the last ale-py, the others MuJoCo"""

_TEXT_TASKS = ("RandomWalks", "Reviews", "Arithmetic", "CapitalOfFrance")

TEXT_IDS = tuple(f"prefrl/{task}-v0" for task in _TEXT_TASKS)
"""ids of the text environments, whose actions are tokens and whose episodes terminate; no optional packages needed"""

for _id, (_entry_point, _details) in _REGISTERED.items():
    gym.register(_id, _entry_point, **_details)
for _id, _maker in _BEHAVIOURS.items():
    gym.register(_id, f"prefrl_envs.behaviours:{_maker}")
for _id, _game in zip(ATARI_IDS, GAMES, strict=True):
    gym.register(
        _id,
        "prefrl_envs.atari:make_atari",
        vector_entry_point="prefrl_envs.atari_vector:make_atari_vector",
        kwargs={"game": _game},
    )
PROMPTS_ID = "prefrl/Prompts-v0"
"""id of the text environment with prompts from a file; it needs transformers"""

for _id, _task in zip((*TEXT_IDS, PROMPTS_ID), (*_TEXT_TASKS, "Prompts"), strict=True):
    gym.register(
        _id,
        "prefrl_envs.text.make:make_text_env",
        vector_entry_point="prefrl_envs.text.make:make_text_vector_env",
        kwargs={"task": _task},
    )
