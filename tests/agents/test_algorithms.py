from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from prefrl_agents import ALGORITHMS, find_algorithm
from prefrl_agents.algorithms import algorithm_name
from prefrl_agents.text import OnlineDPO, TokenPPO

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


class NoBuffer(BaseAlgorithm):
    """An algorithm that learns from whole returns, as evolution strategies do."""


class OwnPPO(PPO):
    """A user-defined PPO."""


class OwnTokenPPO(TokenPPO):
    """A user-defined PPO for texts."""


HERE = __name__


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_each_row_names_the_module_that_defines_its_class(name: str) -> None:
    spec = find_algorithm(name)
    assert spec.name == name
    assert algorithm_name(spec.load_class()) == name
    assert spec.on_policy == issubclass(spec.load_class(), OnPolicyAlgorithm)


def test_rows_describe_their_algorithm() -> None:
    assert [name for name in ALGORITHMS if find_algorithm(name).can_overlap] == ["ppo", "a2c"]
    assert [name for name in ALGORITHMS if find_algorithm(name).for_texts] == ["token_ppo", "online_dpo"]
    assert find_algorithm("online_dpo").load_class() is OnlineDPO
    assert find_algorithm("sac").load_class() is SAC


@pytest.mark.parametrize(
    ("name", "space", "takes"),
    [
        ("sac", BOX, True),
        ("sac", spaces.Discrete(3), False),
        ("dqn", spaces.Discrete(3), True),
        ("dqn", spaces.MultiDiscrete([3]), False),
        ("ppo", spaces.MultiBinary(3), True),
        ("ppo", spaces.Tuple([BOX]), False),
        ("stable_baselines3:TD3", spaces.Discrete(3), True),
    ],
)
def test_algorithms_accept_their_action_spaces(name: str, space: spaces.Space[Any], takes: bool) -> None:
    assert find_algorithm(name).takes_actions(space) == takes


def test_algorithms_from_other_modules_can_be_used() -> None:
    td3, own = find_algorithm("stable_baselines3:TD3"), find_algorithm(f"{HERE}:OwnPPO")
    assert (td3.load_class(), td3.on_policy, td3.can_overlap) == (TD3, False, False)
    assert (own.load_class(), own.on_policy, own.policy) == (OwnPPO, True, None)
    text = find_algorithm(f"{HERE}:OwnTokenPPO")
    assert (text.for_texts, text.policy) == (True, "LanguageModelPolicy")
    assert algorithm_name(OwnPPO) == f"{HERE}:OwnPPO"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pppo", "there is no algorithm 'pppo'; did you mean 'ppo'"),
        ("trpo", "it must be one of .*'a2c'.*'token_ppo'"),
        ("missing_module:Class", "cannot be imported"),
        ("stable_baselines3:TRPO", "has no 'TRPO'"),
        ("stable_baselines3.common.utils:set_random_seed", "is not a Stable-Baselines3 algorithm class"),
        (f"{HERE}:NoBuffer", "no rollout or replay buffer, so nothing can be labelled"),
    ],
)
def test_invalid_algorithms_are_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find_algorithm(name)
