"""prefrl: deep reinforcement learning from human preferences.

A policy, a learned reward over trajectory segments and a preference oracle run as three asynchronous processes.
Importing this module loads neither torch nor pygame; the names below import their modules on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrl.config import RunConfig
    from prefrl.data.types import Comparison, Query, Segment
    from prefrl.reward import LearnedReward
    from prefrl.sb3 import PreferenceCallback, RewardVecEnv
    from prefrl.storage import Store

__version__ = "0.1.0"

_MODULE_OF = {
    "Comparison": "prefrl.data.types",
    "LearnedReward": "prefrl.reward",
    "PreferenceCallback": "prefrl.sb3",
    "Query": "prefrl.data.types",
    "RewardVecEnv": "prefrl.sb3",
    "RunConfig": "prefrl.config.settings",
    "Segment": "prefrl.data.types",
    "Store": "prefrl.storage",
}

__all__ = [
    "Comparison",
    "LearnedReward",
    "PreferenceCallback",
    "Query",
    "RewardVecEnv",
    "RunConfig",
    "Segment",
    "Store",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'prefrl' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
