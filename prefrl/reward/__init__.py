"""The learned reward: losses, ensemble, training and the frozen result that agents use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrl.reward.followed_reward import FollowedReward
    from prefrl.reward.learned_reward import LearnedReward
    from prefrl.reward.source import NoReward, RewardSource
    from prefrl.reward.tensor_files import RewardFileError
    from prefrl.reward.training import FitReport, RewardTrainer

__all__ = [
    "FitReport",
    "FollowedReward",
    "LearnedReward",
    "NoReward",
    "RewardFileError",
    "RewardSource",
    "RewardTrainer",
]

_MODULES = {
    "FitReport": "training",
    "FollowedReward": "followed_reward",
    "LearnedReward": "learned_reward",
    "NoReward": "source",
    "RewardFileError": "tensor_files",
    "RewardSource": "source",
    "RewardTrainer": "training",
}


def __getattr__(name: str) -> Any:
    # Torch is loaded with the first name that needs it; the validation split and the protocol do not.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
